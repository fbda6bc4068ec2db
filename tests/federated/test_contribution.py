"""Shapley values from reports, against games on paper and every order of joining written out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import fmean, variance

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from federated.canonical import digest
from federated.contribution import Measure, Walk, confidences, cost_of, everyone, follow, members
from federated.errors import RewardError, SpecError
from federated.metrics import LOSS_CAP, LOSS_STEP
from federated.reports import Evaluation, Report
from federated.rewards import by_contribution, contributions, gains, walks
from federated.rules import check_spec
from federated.spec import StudySpec

PEOPLE = 10**5
BASE = PEOPLE * 2  # half nats
STATE = digest(b"what the round leads to")
TMC = Measure("tmc-shapley", seed=1, permutations=12)
GTG = replace(TMC, rule="gtg-shapley")
BOTH = pytest.mark.parametrize("measure", [TMC, GTG], ids=lambda item: item.rule)

Value = Callable[[frozenset[int]], int]
"""What a set of hospitals spares a judge, in half nats."""


def reported(measure: Measure, judge: int, count: int, value: Value, number: int = 1) -> Report:
    """What a hospital reports for whom models that hold these others are worth so much."""
    plan = measure.plan(everyone(range(count)), number, STATE)
    walk, rows = Walk(plan, judge, PEOPLE), []
    for without in plan.judged_by(judge):
        if walk.needs(without):
            others = frozenset(members(plan.included & ~without)) - {judge}
            walk.tell(without, BASE - value(others))
            state = STATE if not without else digest(b"%d" % without)
            rows.append(Evaluation(state, without, BASE - value(others)))
    return Report(bytes(32), 1, number, judge, bytes(32), PEOPLE, tuple(rows))


def gained(measure: Measure, judge: int, count: int, value: Value) -> dict[int, Fraction]:
    return halves(gains(measure, [reported(measure, judge, count, value)])[judge])


def halves(found: Mapping[int, Fraction]) -> dict[int, Fraction]:
    """Half nats from 1/65536."""
    return {index: gain / LOSS_STEP for index, gain in found.items()}


def glove(players: frozenset[int]) -> int:
    """Hospital 1 has a left glove, all others right ones; a pair is worth 6000."""
    return 6000 * (1 in players and bool(players - {1}))


def airport(players: frozenset[int]) -> int:
    """A runway as long as the longest plane needs, which is its index."""
    return -600 * max(players, default=0)


@BOTH
def test_the_glove_game_is_worth_what_it_is_on_paper(measure: Measure) -> None:
    assert gained(measure, 0, 4, glove) == {1: 4000, 2: 1000, 3: 1000}
    assert gained(measure, 3, 5, glove) == {1: 4500, 0: 500, 2: 500, 4: 500}


@BOTH
def test_the_airport_game_is_worth_what_it_is_on_paper(measure: Measure) -> None:
    # the first 600 are for three planes, the next for two, the last for one
    assert gained(measure, 0, 4, airport) == {1: -200, 2: -500, 3: -1100}


def test_of_two_hospitals_with_the_same_data_each_gets_half_where_leaving_one_out_shows_none() -> (
    None
):
    def same(players: frozenset[int]) -> int:
        return 900 * bool(players & {1, 2})

    assert gained(Measure("leave-one-out"), 0, 3, same) == {1: 0, 2: 0}
    assert gained(TMC, 0, 3, same) == {1: 450, 2: 450}


@BOTH
def test_among_two_hospitals_it_is_leaving_one_out(measure: Measure) -> None:
    for judge in (0, 1):
        wanted = gained(Measure("leave-one-out"), judge, 2, lambda x: 70 * len(x))
        assert gained(measure, judge, 2, lambda x: 70 * len(x)) == wanted == {1 - judge: 70}


values = st.integers(-60_000, 60_000)
tolerances = st.sampled_from([Fraction(0), Fraction(1, 100), Fraction(1, 4)])  # ≤ 50,000 halves


@st.composite
def games(draw: st.DrawFn, count: int = 4) -> Value:
    """Any game whatsoever: one number for each set."""
    found = {frozenset(members(some)): draw(values) for some in range(1 << count)}
    return lambda players: found[players]


@given(games(), st.integers(0, 3), tolerances, tolerances)
def test_values_are_the_mean_over_every_order_written_out(
    value: Value, judge: int, within: Fraction, between: Fraction
) -> None:
    measure = replace(GTG, tolerance=within, round_tolerance=between)
    others = [index for index in range(4) if index != judge]
    sums, whole = dict.fromkeys(others, Fraction(0)), frozenset(others)
    orders = list(itertools.permutations(others))
    for order in orders:
        for place, index in enumerate(order):
            before = frozenset(order[:place])
            left = abs(value(whole) - value(before))
            least = max(within, between) if not place else within
            if left < least * 2 * PEOPLE:
                break
            sums[index] += value(before | {index}) - value(before)
    assert gained(measure, judge, 4, value) == {i: x / len(orders) for i, x in sums.items()}


@BOTH
@given(value=games(), judge=st.integers(0, 3))
def test_they_add_up_to_what_the_others_spare_together(
    measure: Measure, value: Value, judge: int
) -> None:
    whole = frozenset(range(4)) - {judge}
    found = gained(measure, judge, 4, value)
    assert sum(found.values()) == value(whole) - value(frozenset())


@BOTH
@given(value=games(5), judge=st.integers(0, 4), seed=st.integers(0, 9), orders=st.just(1))
def test_so_they_do_where_orders_are_drawn(
    measure: Measure, value: Value, judge: int, seed: int, orders: int
) -> None:
    few = replace(measure, permutations=orders, seed=seed)
    assert not few.plan(31, 1, STATE).all_orders
    whole = frozenset(range(5)) - {judge}
    found = gained(few, judge, 5, value)
    assert sum(found.values()) == value(whole) - value(frozenset())


@BOTH
@given(value=games(3))
def test_who_adds_nothing_gets_nothing_and_equals_get_the_same(
    measure: Measure, value: Value
) -> None:
    def dull(players: frozenset[int]) -> int:
        return value(players - {3})

    assert gained(measure, 0, 4, dull)[3] == 0

    def alike(players: frozenset[int]) -> int:  # 1 and 2 are told apart by nothing
        return value(frozenset(range(len(players & {1, 2}))))

    found = gained(measure, 0, 4, alike)
    assert found[1] == found[2]


def test_every_hospital_joins_first_equally_often_where_orders_are_guided() -> None:
    plan = replace(GTG, permutations=9).plan(everyone(range(10)), 1, STATE)
    assert not plan.all_orders
    for judge in range(10):
        first = [order[0] for order in plan.drawn(judge)]
        assert sorted(first) == [index for index in range(10) if index != judge]
    free = replace(TMC, permutations=9).plan(everyone(range(10)), 1, STATE)
    assert any(len({order[0] for order in free.drawn(judge)}) < 9 for judge in range(10))


def test_orders_follow_from_seed_round_and_the_state_that_the_round_leads_to() -> None:
    def drawn(seed: int, number: int, state: bytes) -> list[tuple[int, ...]]:
        measure = replace(TMC, permutations=3, seed=seed)
        return measure.plan(everyone(range(9)), number, state).drawn(4)

    again = drawn(1, 1, STATE)
    assert drawn(1, 1, STATE) == again
    assert all(sorted(order) == [0, 1, 2, 3, 5, 6, 7, 8] for order in again)
    for other in (drawn(2, 1, STATE), drawn(1, 2, STATE), drawn(1, 1, digest(b"another"))):
        assert other != again


def test_drawn_orders_come_near_all_orders_as_they_grow() -> None:
    def value(players: frozenset[int]) -> int:
        return 100 * len(players) ** 2 + 900 * (2 in players and 5 in players)

    exact = gained(replace(TMC, permutations=1000), 0, 9, value)
    assert replace(TMC, permutations=1000).plan(511, 1, STATE).all_orders
    for measure in (TMC, GTG):
        far = []
        for orders in (2, 7):
            found = [
                gained(replace(measure, permutations=orders, seed=seed), 0, 9, value)
                for seed in range(40)
            ]
            far.append(fmean(abs(float(row[i] - exact[i])) for row in found for i in exact))
            assert abs(fmean(float(row[2]) for row in found) - float(exact[2])) < 300
        assert far[1] < 0.75 * far[0]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 9])
@pytest.mark.parametrize("orders", [1, 4, 30])
@BOTH
def test_no_more_models_are_proposed_and_judged_than_the_cost_says(
    measure: Measure, count: int, orders: int
) -> None:
    few = replace(measure, permutations=orders)
    proposed, judged = few.models(count)
    plan = few.plan(everyone(range(count)), 1, STATE)
    models = plan.models()
    assert len(models) <= proposed
    assert plan.all_orders == (len(models) == 2**count - 1)
    for judge in range(count):
        own = plan.judged_by(judge)
        assert len(own) <= judged
        assert {*own} <= {*models}
        assert not any(without >> judge & 1 for without in own)
    assert {without for judge in range(count) for without in plan.judged_by(judge)} == {*models}
    assert Measure("leave-one-out").models(count) == (count + 1, count)


def enough_with_one(players: frozenset[int]) -> int:
    """Any one of the others brings nearly all there is."""
    return 30_000 * bool(players) + len(players)


def test_a_hospital_stops_judging_where_the_rest_cannot_matter() -> None:
    cut = replace(TMC, tolerance=Fraction(1, 1000))
    whole, early = (reported(measure, 0, 5, enough_with_one) for measure in (TMC, cut))
    assert len(whole.evaluations) == 16
    assert [item.without for item in early.evaluations] == [0, 30, 14, 22, 26, 28]
    full, short = halves(gains(TMC, [whole])[0]), halves(gains(cut, [early])[0])
    assert full == dict.fromkeys((1, 2, 3, 4), 7501)
    assert short == dict.fromkeys((1, 2, 3, 4), Fraction(30_001, 4))


def test_a_round_that_gained_a_judge_nothing_is_left_out_of_its_gains_alone() -> None:
    measure = replace(GTG, round_tolerance=Fraction(1, 100))
    little = [reported(measure, 0, 3, lambda x: 5 * len(x))]
    assert len(little[0].evaluations) == 2
    much = [reported(measure, 1, 3, lambda x: 9000 * len(x))]
    found = gains(measure, [*little, *much])
    assert found[0] == {1: 0, 2: 0}
    assert halves(found[1]) == {0: 9000, 2: 9000}


@BOTH
@pytest.mark.parametrize("what", ["fewer", "more", "own", "none but the model"])
def test_a_report_on_other_models_than_the_rule_asks_for_is_refused(
    measure: Measure, what: str
) -> None:
    cut = replace(measure, tolerance=Fraction(1, 10))
    honest = reported(cut, 0, 4, enough_with_one)
    rows = list(honest.evaluations)
    assert len(rows) < 8
    follow(cut.plan(15, 1, STATE), honest)
    if what == "fewer":
        del rows[-1]
    elif what == "more":
        rows = list(reported(measure, 0, 4, enough_with_one).evaluations)
    elif what == "own":
        rows.insert(1, replace(rows[1], without=15))
    else:
        del rows[1:]
    false = replace(honest, evaluations=tuple(rows))
    with pytest.raises(RewardError):
        follow(cut.plan(15, 1, STATE), false)
    if what != "none but the model":  # then nothing in it tells who else was in the round
        with pytest.raises(RewardError):
            gains(cut, [false])


@BOTH
@given(told=st.tuples(*[games()] * 4), lie=games(), liar=st.integers(0, 3), within=tolerances)
def test_no_word_of_a_hospital_moves_its_own_share_by_shapley_values(
    measure: Measure, told: Sequence[Value], lie: Value, liar: int, within: Fraction
) -> None:
    """Nor does it make a round count for another judge, or not."""
    cut = replace(measure, tolerance=within)
    if measure is GTG:
        cut = replace(cut, round_tolerance=within)
    honest = [reported(cut, judge, 4, value) for judge, value in enumerate(told)]
    others = [report for report in honest if report.hospital != liar]
    assume(any(gain > 0 for row in gains(cut, others).values() for gain in row.values()))
    weights = {0: 7, 1: 20, 2: 400, 3: 31}
    shares = {
        by_contribution(cut, 10**9, [*others, *more], weights)[liar]
        for more in ([honest[liar]], [reported(cut, liar, 4, lie)], [])
    }
    assert max(shares) - min(shares) <= 1  # of the smallest unit, where remainders fall


def test_contributions_add_over_judges_and_rounds() -> None:
    reports = [reported(TMC, judge, 4, glove, number) for judge in (0, 2, 3) for number in (1, 2)]
    assert halves(contributions(TMC, reports)) == {0: 4000, 1: 24000, 2: 4000, 3: 4000}


def test_shares_are_exact_where_values_are_thirds() -> None:
    def third(players: frozenset[int]) -> int:
        return int(bool(players))  # 1 for whoever comes first: a third each

    reports = [reported(TMC, 0, 4, third)]
    assert halves(gains(TMC, reports)[0]) == dict.fromkeys((1, 2, 3), Fraction(1, 3))
    paid = by_contribution(TMC, 900, reports, {0: 3, 1: 0, 2: 0, 3: 0})
    assert paid == {0: 0, 1: 300, 2: 300, 3: 300}


def test_confidence_is_that_on_paper() -> None:
    """Two judges who disagree over hospital 2, and no draw."""
    reports = [
        reported(TMC, 0, 3, lambda x: 2 * (2 in x)),
        reported(TMC, 1, 3, lambda x: 6 * (2 in x)),
    ]
    found = confidences(walks(TMC, reports))
    assert (found[2].value, found[2].orders_se, found[2].judges) == (4, 0, 2)
    half = 12.706 * math.sqrt(2) * math.sqrt(2)  # t of one degree, s = √2, a sum of two
    assert found[2].low == pytest.approx(4 - half)
    assert found[2].high == pytest.approx(4 + half)
    assert (found[0].low, found[0].high, found[0].judges) == (None, None, 1)


def test_drawn_orders_have_the_standard_error_of_their_mean() -> None:
    few = replace(TMC, permutations=4)

    def value(players: frozenset[int]) -> int:
        return 2 * len(players) ** 2

    report = reported(few, 0, 9, value)
    found = confidences(walks(few, [report]))
    for index, told in found.items():
        places = [order.index(index) for order in few.plan(511, 1, STATE).drawn(0)]
        steps = [2 * place + 1 for place in places]
        assert told.value == pytest.approx(fmean(steps))
        assert told.orders_se == pytest.approx(math.sqrt(variance(steps) / 4))
    one = replace(TMC, permutations=1)
    alone = confidences(walks(one, [reported(one, 0, 9, value)]))
    assert {item.orders_se for item in alone.values()} == {None}


def paid_by(spec: StudySpec, rule: str, **config: object) -> StudySpec:
    return replace(spec, reward=replace(spec.reward, rule=rule, config=config or None))


REFUSED: list[tuple[str, str, Callable[[StudySpec], StudySpec]]] = [
    ("reward.rule", "one of", lambda s: paid_by(s, "shapley")),
    ("reward.config", "no settings", lambda s: paid_by(s, "leave-one-out", permutations=4)),
    ("reward.config.permutations", "missing", lambda s: paid_by(s, "tmc-shapley")),
    (
        "reward.config.tolerance",
        r"a number in \[0, 16\]",
        lambda s: paid_by(s, "tmc-shapley", permutations=4, tolerance=-0.1),
    ),
    (
        "reward.config.round_tolerance",
        "unknown setting of tmc-shapley",
        lambda s: paid_by(s, "tmc-shapley", permutations=4, tolerance=0, round_tolerance=0),
    ),
    (
        "reward.config.permutations",
        "up to 9901 models",
        lambda s: replace(
            paid_by(s, "tmc-shapley", permutations=1, tolerance=0), max_hospitals=100
        ),
    ),
    (
        "auditors",
        "gtg-shapley needs one",
        lambda s: replace(
            paid_by(s, "gtg-shapley", permutations=4, tolerance=0, round_tolerance=0),
            auditors=(),
            auditor_quorum=0,
        ),
    ),
]


@pytest.mark.parametrize(("key", "says", "change"), REFUSED)
def test_a_rule_that_cannot_be_measured_is_refused_when_the_study_opens(
    spec: StudySpec, key: str, says: str, change: Callable[[StudySpec], StudySpec]
) -> None:
    with pytest.raises(SpecError, match=says) as found:
        check_spec(change(spec))
    assert str(found.value).startswith(f"study spec: {key}: ")


def test_a_spec_names_rule_and_settings_and_others_keep_their_bytes(spec: StudySpec) -> None:
    chosen = paid_by(spec, "gtg-shapley", permutations=4, tolerance=0.25, round_tolerance=0)
    check_spec(chosen)
    measure = Measure.of(chosen)
    assert (measure.permutations, measure.tolerance) == (4, Fraction(1, 4))
    assert b"config" in chosen.to_bytes().split(b"reward")[1][:200]
    assert chosen.digest() != spec.digest()
    with pytest.raises(SpecError, match="count measures no contribution"):
        Measure.of(paid_by(spec, "count"))


def test_the_cost_of_a_study_is_told_in_models_and_passes(spec: StudySpec) -> None:
    four = replace(spec, max_hospitals=4, rounds=3)
    assert cost_of(paid_by(four, "count")) is None
    one_out = cost_of(paid_by(four, "leave-one-out"))
    every = cost_of(paid_by(four, "tmc-shapley", permutations=4, tolerance=0))
    assert one_out is not None
    assert every is not None
    assert (one_out.models, one_out.judged, one_out.passes) == (5, 4, 4 * 4 * 3)
    assert (every.models, every.judged, every.passes) == (15, 8, 8 * 4 * 3)
    assert every.size * 5 == one_out.size * 15
    assert "of which a hospital judges up to 8 " in str(every)
    assert "up to 96 passes" in str(every)


def test_a_loss_that_no_report_can_hold_moves_no_value() -> None:
    most = LOSS_CAP * 2 * PEOPLE
    report = reported(TMC, 0, 3, lambda x: BASE if x else BASE - most - 1)
    with pytest.raises(RewardError, match="exceeds"):
        gains(TMC, [report])
