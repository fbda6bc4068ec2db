"""The search for settings, pure: rounds, settings, line and choice; and which specs are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from federated.codec import Config
from federated.errors import PolicyRefused, SpecError, StepError
from federated.hospital.policy.finding import Asked
from federated.hospital.policy.judge import judge, refuse
from federated.hospital.policy.policy import Policy
from federated.reports import Evaluation, Report
from federated.rules import check_spec
from federated.search import (
    candidate_of,
    effective,
    ends,
    judging_rounds,
    line,
    reports_asked,
    search_choice,
    settings,
    tallies,
)
from federated.simulate import simulate
from federated.simulate_reports import simulate_reports
from federated.spec import Choice, Label, Late, Sampling, Search, StudySpec, Training, Tried
from federated.spec_files import read_bytes, read_json
from federated.studies import wisconsin_spec
from federated.training import Records

TRIED = (Tried(learning_rate=0.05, epochs=2), Tried(weight_decay=0.5), Tried())
SEARCH = Search(rounds=2, candidates=TRIED)


@pytest.fixture
def searching() -> StudySpec:
    """Three candidates of two rounds, and two rounds after them."""
    return replace(wisconsin_spec(rounds=8), search=SEARCH)


def _report(hospital: int, people: int, loss: int) -> Report:
    rows = (Evaluation(bytes(32), 0, loss),) if people else ()  # type: ignore[arg-type]
    return Report(bytes(32), 1, 2, hospital, bytes(32), people, rows)


def test_each_candidate_has_its_rounds_and_is_judged_in_the_last(searching: StudySpec) -> None:
    assert ends(searching) == 6
    assert [candidate_of(searching, n) for n in range(1, 9)] == [0, 0, 1, 1, 2, 2, None, None]
    assert judging_rounds(searching) == [2, 4, 6]
    assert [n for n in range(1, 9) if reports_asked(searching, n)] == [2, 4, 6]


def test_a_candidate_goes_on_from_its_own_rounds_alone(searching: StudySpec) -> None:
    lines = [line(searching, n, None) for n in range(1, 7)]
    assert lines == [(), (1,), (), (3,), (), (5,)]
    assert [line(searching, n, 1) for n in (7, 8)] == [(3, 4), (3, 4, 7)]
    with pytest.raises(StepError, match="round 7 goes on from what the search chooses"):
        line(searching, 7, None)


def test_a_study_without_a_search_goes_on_from_any_earlier_round() -> None:
    spec = wisconsin_spec()
    assert line(spec, 3, None) == (1, 2)
    assert effective(spec, 3, None) is spec
    assert settings(spec) == (spec,)
    assert judging_rounds(spec) == []


def test_a_round_has_its_candidates_settings_and_those_after_the_chosen_ones(
    searching: StudySpec,
) -> None:
    base = searching.training
    of = {n: effective(searching, n, 1).training for n in (1, 2, 3, 6, 7)}
    assert of[1] == of[2] == replace(base, learning_rate=0.05, epochs=2)
    assert of[3] == of[7] == replace(base, weight_decay=0.5)
    assert of[6] == base
    with pytest.raises(StepError, match="round 7 has the settings that the search chooses"):
        effective(searching, 7, None)


def test_a_candidate_may_set_the_strategy(searching: StudySpec) -> None:
    tried = (Tried(strategy={"mu": 0.5}), Tried())
    spec = replace(searching, strategy=Choice("fedprox", {"mu": 0.1}), search=Search(1, tried))
    assert [effective(spec, n, None).strategy.config for n in (1, 2)] == [{"mu": 0.5}, {"mu": 0.1}]
    assert spec.strategy.config == {"mu": 0.1}


def test_the_least_mean_over_people_is_chosen_not_the_least_sum(searching: StudySpec) -> None:
    """By hand: 30 / 40 = .75, 26 / 30 = .867 and 45 / 65 = .692 half nats a person."""
    reports = [
        [_report(0, 10, 10), _report(1, 30, 20)],
        [_report(0, 10, 6), _report(1, 20, 20)],
        [_report(0, 15, 15), _report(1, 50, 30)],
    ]
    means = [item.mean for item in tallies(SEARCH, reports)]
    assert means == [Fraction(3, 4), Fraction(13, 15), Fraction(9, 13)]
    assert search_choice(searching, reports) == 2


def test_of_equal_candidates_the_first_is_chosen(searching: StudySpec) -> None:
    reports = [[_report(0, 10, 12)], [_report(0, 20, 10)], [_report(1, 40, 20)]]
    assert search_choice(searching, reports) == 1


def test_a_candidate_that_too_few_hospitals_judged_is_not_chosen(searching: StudySpec) -> None:
    spec = replace(searching, search=replace(SEARCH, reports=2))
    few = [_report(0, 40, 0), _report(1, 0, 0)]  # the second has too few people to report
    reports = [few, [_report(0, 10, 9), _report(1, 10, 9)], [_report(0, 10, 10), _report(1, 10, 9)]]
    assert search_choice(spec, reports) == 1
    assert search_choice(spec, [few, few, []]) == 0
    with pytest.raises(StepError, match="no search"):
        search_choice(wisconsin_spec(), reports)


def test_a_search_survives_bytes_and_text(searching: StudySpec) -> None:
    check_spec(searching)
    assert read_bytes(searching.to_bytes()) == searching
    assert read_json(searching.to_json()) == searching
    with pytest.raises(SpecError, match="unknown key"):
        read_json(searching.to_json().replace('"weight_decay": 0.5', '"decay": 0.5'))


def test_a_spec_without_a_search_has_the_bytes_that_it_had(searching: StudySpec) -> None:
    assert b"search" in searching.to_bytes()
    assert b"search" not in replace(searching, search=None).to_bytes()


ONE = Tried(learning_rate=0.05)
REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "no candidate": ({"search": Search(1, ())}, "search.candidates: 1 to 16"),
    "too many": (
        {"search": Search(1, tuple(Tried(epochs=e) for e in range(1, 18))), "rounds": 40},
        "search.candidates: 1 to 16",
    ),
    "the same twice": ({"search": Search(1, (ONE, ONE))}, "two are the same"),
    "no rounds each": ({"search": Search(0, (ONE,))}, "search.rounds"),
    "none left": ({"search": Search(8, (ONE,))}, "rounds: the search takes 8"),
    "no reports": ({"search": Search(1, (ONE,), reports=0)}, "search.reports"),
    "a rate of zero": (
        {"search": Search(1, (ONE, Tried(learning_rate=0.0)))},
        r"search.candidates\[1\].*training.learning_rate",
    ),
    "an unknown setting": (
        {"search": Search(1, (Tried(strategy={"mu": 0.1}),))},
        r"search.candidates\[0\].*unknown setting of fedavg",
    ),
    "drawn hospitals": ({"sampling": Sampling(3)}, "sampling: drawn hospitals"),
    "late updates": ({"late": Late("next-round", 1)}, "late: an update"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_search_that_cannot_be_is_refused(searching: StudySpec, what: str) -> None:
    changes, match = REFUSED[what]
    with pytest.raises(SpecError, match=match):
        check_spec(replace(searching, **changes))


def test_a_search_without_validation_patients_is_refused(searching: StudySpec) -> None:
    with pytest.raises(SpecError, match=r"split\.validation"):
        check_spec(replace(searching, split=replace(searching.split, validation=0.0)))


def test_masked_mode_has_no_search(searching: StudySpec) -> None:
    masked = replace(
        searching,
        mode="masked",
        min_hospitals=3,
        max_hospitals=4,
        threshold=3,
        phases=replace(searching.phases, unmask_s=60),
    )
    check_spec(replace(masked, search=None))
    with pytest.raises(SpecError, match="search: masked mode"):
        check_spec(masked)


def test_a_hospitals_policy_judges_every_candidate(searching: StudySpec) -> None:
    asked = Asked(replace(searching, training=replace(searching.training, epochs=1)))
    policy = Policy(most_epochs=1)
    refuse(judge(policy, replace(asked, spec=replace(asked.spec, search=None))))
    with pytest.raises(PolicyRefused, match=r"2 passes.*candidate 1 of the search"):
        refuse(judge(policy, asked))


def _cohort(seed: int, count: int) -> dict[str, Records]:
    order = np.random.default_rng(seed)
    found = {}
    for name in ("north", "harbor"):
        inputs = order.normal(size=(count, 30)).astype(np.float32)
        found[name] = (inputs, (inputs[:, 0] > 0).astype(np.float32))
    return found


CONFIGS: dict[str, Config] = {"fedavg": {}, "scaffold": {"learning_rate": 1.0}}


@pytest.mark.parametrize("strategy", CONFIGS)
@pytest.mark.parametrize("best", [0, 1])
def test_each_candidate_and_what_follows_learns_as_a_study_of_its_own(
    strategy: str, best: int
) -> None:
    """Whole batches, so that a round's shuffles change nothing but the order of sums."""
    training = Training(epochs=1, batch_size=64, learning_rate=1.0)
    alone = replace(wisconsin_spec(rounds=5), training=training)
    alone = replace(alone, strategy=Choice(strategy, CONFIGS[strategy]))
    tried = [Tried(learning_rate=1e-6)] * 2
    tried[best] = Tried(learning_rate=0.5)
    searching = replace(alone, search=Search(2, tuple(tried)))
    train, judges = _cohort(1, 40), _cohort(2, 40)
    states = simulate(searching, [train] * 5, validation=[judges] * 5)
    wanted = simulate(replace(alone, training=replace(training, learning_rate=0.5)), [train] * 3)
    places = [0, 2 * best + 1, 2 * best + 2, 5]
    for place, state in zip(places, wanted, strict=True):
        for name, array in state.parameters.items():
            np.testing.assert_allclose(states[place].parameters[name], array, atol=1e-4)
    moved = [
        wanted[n + 1].parameters["out.weight"] - wanted[n].parameters["out.weight"] for n in (0, 2)
    ]
    assert min(float(np.abs(item).max()) for item in moved) > 1e-2


def test_a_search_is_not_simulated_without_patients_who_judge(searching: StudySpec) -> None:
    with pytest.raises(SpecError, match="validation records"):
        simulate(searching, [_cohort(1, 40)] * 8)


def test_rewards_of_a_searching_study_are_not_simulated(searching: StudySpec) -> None:
    with pytest.raises(SpecError, match="search: reports are simulated of studies without one"):
        simulate_reports(searching, {})


def test_a_task_whose_losses_are_not_reported_has_no_search(searching: StudySpec) -> None:
    label = Label("dose", unit="mg", minimum=0.0, maximum=40.0)
    spec = replace(searching, task="regression", data=replace(searching.data, label=label))
    check_spec(replace(spec, search=None))
    with pytest.raises(SpecError, match="search: hospitals report on two labels"):
        check_spec(spec)


def test_models_with_layers_that_stay_at_hospitals_have_no_search(searching: StudySpec) -> None:
    """Others would judge the model without anybody's layers, which nobody uses."""
    model = Choice("mlp", {"hidden": [4], "normalise": "layer"})
    spec = replace(searching, strategy=Choice("fedbn"), model=model)
    check_spec(replace(spec, search=None))
    with pytest.raises(SpecError, match="search: fedbn is judged with each hospital's own layers"):
        check_spec(spec)
