"""Every rule of a hospital's policy, held against studies by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.codec import Address, Form, from_tree, to_tree
from federated.errors import PolicyRefused
from federated.hospital.policy import Asked, Outcome, Policy, judge
from federated.hospital.policy.headcount import Headcount, judge_cohort
from federated.hospital.policy.judge import refuse
from federated.hospital.policy.standing import Standing, strictest
from federated.rules import check_spec
from federated.spec import Auditor, Criterion, Feature, StudySpec
from federated.studies import heart_spec, pneumonia_spec, wisconsin_spec
from records.cohort import Member
from records.record import LocalKey, Record
from records.splits import Part

CENTER, OTHER = Address("0x" + "c0" * 20), Address("0x" + "0d" * 20)
TOKEN = Address("0x" + "70" * 20)
AUDITOR = Address("0x" + "a1" * 20)
NAMES = [item.name for item in fields(Policy)]
POLICIES = st.builds(
    Policy,
    modes=st.sampled_from([(), ("open",), ("masked",)]),
    most_rounds=st.integers(1, 9),
    least_cohort=st.integers(0, 2000),
    centers=st.sampled_from([(), (CENTER,), (OTHER,)]),
    most_studies=st.integers(0, 5),
    epsilon_per_year=st.none() | st.floats(0, 9),
)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "policy.md"


def _refused(policy: Policy, asked: Asked) -> list[str]:
    found = judge(policy, asked)
    assert [item.rule for item in found] == NAMES, "every rule answers"
    assert all(item.why for item in found)
    return [item.rule for item in found if item.outcome is Outcome.REFUSES]


def _why(policy: Policy, asked: Asked, rule: str) -> str:
    return next(item.why for item in judge(policy, asked) if item.rule == rule)


@pytest.fixture
def asked(spec: StudySpec) -> Asked:
    return Asked(spec, CENTER, TOKEN, others=2)


@pytest.mark.parametrize("make", [wisconsin_spec, heart_spec, pneumonia_spec])
def test_the_defaults_refuse_no_study_that_ships(make: Any) -> None:
    assert _refused(Policy(), Asked(make(auditors=[AUDITOR]), CENTER, TOKEN, 0)) == []


@pytest.mark.parametrize(
    "policy",
    [
        Policy(purposes=("POA",)),
        Policy(modes=("masked",)),
        Policy(tasks=("survival",)),
        Policy(models=("cnn", "mlp")),
        Policy(most_parameters=2),
        Policy(strategies=("scaffold",)),
        Policy(most_rounds=4),
        Policy(most_epochs=0),
        Policy(least_hospitals=3),
        Policy(least_cohort=1001),
        Policy(least_training=1001),
        Policy(least_per_class=1001),
        Policy(dictionaries=("heart-disease/1",)),
        Policy(denied_features=("age",)),
        Policy(centers=(OTHER,)),
        Policy(denied_centers=(CENTER,)),
        Policy(auditors=(AUDITOR, OTHER)),
        Policy(least_auditors=2),
        Policy(rewards=("leave-one-out",)),
        Policy(after_void=("go-on",)),
        Policy(tokens=(OTHER,)),
        Policy(most_studies=2),
        Policy(epsilon_per_study=1.0),
        Policy(epsilon_per_year=1.0),
    ],
)
def test_each_rule_refuses_by_its_own_name_and_nothing_else_does(
    policy: Policy, asked: Asked
) -> None:
    changed = [name for name in NAMES if getattr(policy, name) != getattr(Policy(), name)]
    assert _refused(policy, asked) == changed
    with pytest.raises(PolicyRefused, match=f"^policy: {changed[0]}: ") as caught:
        refuse(judge(policy, asked))
    assert caught.value.rules == tuple(changed)


def test_each_rule_passes_at_its_very_limit(asked: Asked) -> None:
    spec = asked.spec
    policy = Policy(
        purposes=("HMB",),
        modes=("open",),
        tasks=("binary",),
        models=("logistic",),
        most_parameters=3,
        strategies=("fedavg",),
        most_rounds=spec.rounds,
        most_epochs=spec.training.epochs,
        least_hospitals=spec.min_hospitals,
        least_cohort=spec.terms.max_patients,
        least_training=spec.terms.max_patients,
        least_per_class=spec.terms.max_patients,
        dictionaries=("paper/1",),
        denied_features=("sex",),
        centers=(CENTER,),
        denied_centers=(OTHER,),
        auditors=(AUDITOR,),
        least_auditors=1,
        rewards=("count",),
        after_void=("go-back",),
        tokens=(TOKEN,),
        most_studies=3,
    )
    assert _refused(policy, asked) == []


def test_a_count_of_updates_is_held_as_the_passes_over_the_smallest_cohort(asked: Asked) -> None:
    training = replace(asked.spec.training, epochs=1, batch_size=10, updates=30)
    counted = replace(asked, spec=replace(asked.spec, training=training))
    allows = Policy(most_epochs=10, least_training=21)  # 3 batches of at most 10: 10 passes
    refuses = Policy(most_epochs=10, least_training=20)  # 2 batches: 15 passes

    def found(policy: Policy) -> dict[str, Outcome]:
        return {item.rule: item.outcome for item in judge(policy, counted)}

    assert found(allows)["most_epochs"] is Outcome.PASSES
    assert found(refuses)["most_epochs"] is Outcome.REFUSES


def test_every_rule_that_refuses_is_named_and_not_only_the_first(asked: Asked) -> None:
    policy = Policy(modes=("masked",), most_rounds=1, tokens=(OTHER,))
    with pytest.raises(PolicyRefused) as caught:
        refuse(judge(policy, asked))
    assert caught.value.rule == "modes"
    assert caught.value.rules == ("modes", "most_rounds", "tokens")
    assert all(f"{rule}: " in str(caught.value) for rule in caught.value.rules)


@pytest.mark.parametrize(
    ("allowed", "needs", "passes"),
    [
        (["GRU"], ["DUO:0000006"], True),
        (["DS"], ["DUO:0000006"], False),
        (["HMB"], ["DUO:0000006", "DUO:0000046"], True),
        (["HMB", "NCU"], ["DUO:0000006", "DUO:0000046"], True),
        (["HMB", "NCU"], ["DUO:0000006"], False),
        (["HMB", "NPUNCU"], ["DUO:0000006", "DUO:0000046"], False),
    ],
)
def test_purposes_are_read_as_those_of_a_tier(
    allowed: Sequence[str], needs: Sequence[str], passes: bool, asked: Asked
) -> None:
    spec = replace(asked.spec, purposes=tuple(needs))
    check_spec(spec)
    policy = Policy(purposes=tuple(allowed))
    assert (_refused(policy, replace(asked, spec=spec)) == []) is passes


def test_a_study_that_may_be_commercial_is_told_so(asked: Asked) -> None:
    why = _why(Policy(purposes=("HMB", "NCU")), asked, "purposes")
    assert "not to be bound by 'non-commercial use only'" in why


@pytest.mark.parametrize("name", ["Post code", "post_code", "POSTCODE", "\uff50ostcode"])
def test_a_denied_field_is_found_however_it_is_spelt(name: str, asked: Asked) -> None:
    data = asked.spec.data
    hidden = replace(data, features=(*data.features, Feature(name, "1", 0.0, 1.0)))
    policy = Policy(denied_features=("postcode",))
    assert _refused(policy, replace(asked, spec=replace(asked.spec, data=hidden))) == [
        "denied_features"
    ]


def test_a_denied_field_is_no_label_and_no_criterion_either(asked: Asked) -> None:
    data = asked.spec.data
    predicted = replace(data, label=replace(data.label, name="HIV"))
    chosen = replace(data, eligibility=(Criterion("hiv", 1.0, 1.0),))
    for changed in (predicted, chosen):
        spec = replace(asked.spec, data=changed)
        assert _refused(Policy(denied_features=("hiv",)), Asked(spec)) == ["denied_features"]


def test_a_center_that_names_itself_is_no_auditor(asked: Asked) -> None:
    spec = replace(asked.spec, auditors=(Auditor(CENTER),))
    assert _refused(Policy(least_auditors=1), replace(asked, spec=spec)) == ["least_auditors"]


def test_an_auditor_who_is_named_twice_counts_once(asked: Asked) -> None:
    spec = replace(asked.spec, auditors=(Auditor(AUDITOR), Auditor(AUDITOR)))
    assert _refused(Policy(least_auditors=2), replace(asked, spec=spec)) == ["least_auditors"]


def test_addresses_are_one_whatever_their_case(asked: Asked) -> None:
    policy = Policy(denied_centers=(Address(CENTER.lower()),), tokens=(TOKEN,))
    mixed = Asked(asked.spec, "0x" + CENTER[2:].upper(), "0x" + TOKEN[2:].upper(), 0)
    assert _refused(policy, mixed) == ["denied_centers"]


def test_a_limit_for_privacy_noise_refuses_a_study_that_promises_none(asked: Asked) -> None:
    for policy in (Policy(epsilon_per_study=1e6), Policy(epsilon_per_year=1e6)):
        with pytest.raises(PolicyRefused, match="no privacy budget is declared"):
            refuse(judge(policy, asked))


def test_a_spec_alone_leaves_open_who_asks_in_which_token_and_beside_what(asked: Asked) -> None:
    policy = Policy(centers=(CENTER,), denied_centers=(OTHER,), tokens=(TOKEN,))
    later = {x.rule for x in judge(policy, Asked(asked.spec)) if x.outcome is Outcome.LATER}
    assert later == {
        *("centers", "denied_centers", "tokens", "most_studies"),
        *("least_cohort", "least_training"),
    }
    assert _refused(policy, asked) == []


def test_words_of_a_center_reach_no_terminal_as_they_are(asked: Asked) -> None:
    data = replace(asked.spec.data, dictionary="\x1b[2Jpassed\nall rules pass" + "x" * 500)
    spec = replace(asked.spec, data=data)
    for policy in (Policy(dictionaries=("paper/1",)), Policy(dictionaries=(data.dictionary,))):
        why = _why(policy, Asked(spec), "dictionaries")
        assert why.partition("; allowed")[0].isprintable()
        assert len(why) < 200


def test_a_cohort_that_could_never_be_reached_is_refused_before_it_is_gathered(
    asked: Asked,
) -> None:
    spec = replace(asked.spec, terms=replace(asked.spec.terms, max_patients=19))
    assert _refused(Policy(), replace(asked, spec=spec)) == ["least_cohort"]


def _member(key: str, part: Part, positive: bool) -> Member:
    return Member(Record(LocalKey(key), (1.0, 2.0), positive), key.encode(), part)


def test_people_are_counted_and_not_their_records() -> None:
    twice = [_member("one", Part.TRAIN, True), _member("one", Part.TRAIN, True)]
    others = [_member("two", Part.TRAIN, False), _member("three", Part.TEST, False)]
    assert Headcount.of([*twice, *others], 2) == Headcount(people=3, training=2, fewest=1)
    assert Headcount.of([], 2) == Headcount(0, 0, 0)


@pytest.mark.parametrize(
    ("count", "rule"),
    [
        (Headcount(19, 19, 9), "least_cohort"),
        (Headcount(20, 4, 2), "least_training"),
        (Headcount(20, 20, 1), "least_per_class"),
        (Headcount(20, 5, 2), ""),
    ],
)
def test_a_cohort_needs_enough_people_enough_who_train_and_enough_of_each_class(
    count: Headcount, rule: str
) -> None:
    found = judge_cohort(Policy(least_per_class=2), count)
    assert [x.rule for x in found if x.outcome is Outcome.REFUSES] == ([rule] if rule else [])


def test_a_refusal_for_a_rare_class_does_not_say_how_rare_it_is() -> None:
    policy = Policy(least_per_class=7)
    texts = {judge_cohort(policy, Headcount(40, 30, few))[2].why for few in range(7)}
    assert len(texts) == 1


def test_of_two_policies_the_stricter_answers_and_says_where_it_stands(asked: Asked) -> None:
    loose, strict = Standing("as approved", Policy()), Standing("in now", Policy(most_rounds=1))
    for both in ((loose, strict), (strict, loose)):
        found = strictest(both, lambda policy: judge(policy, asked))
        assert [item.rule for item in found] == NAMES
        refused = [item for item in found if item.outcome is Outcome.REFUSES]
        assert [item.rule for item in refused] == ["most_rounds"]
        assert refused[0].why.endswith("at most 1 (in now)")


@given(first=POLICIES, second=POLICIES)
def test_two_policies_together_refuse_just_what_either_of_them_refuses(
    first: Policy, second: Policy
) -> None:
    asked = Asked(wisconsin_spec(), CENTER, TOKEN, others=2)
    both = (Standing("as approved", first), Standing("in the file now", second))
    found = strictest(both, lambda policy: judge(policy, asked))
    refused = {item.rule for item in found if item.outcome is Outcome.REFUSES}
    assert refused == {*_refused(first, asked), *_refused(second, asked)}


def test_what_is_remembered_of_a_policy_is_that_policy() -> None:
    policy = Policy(centers=(CENTER,), epsilon_per_year=3.0, denied_features=("age",))
    for whole in (policy, Policy()):
        assert from_tree(Policy, to_tree(whole, Policy, Form.TEXT), Form.TEXT) == whole


def test_the_document_has_the_table_that_the_code_gives() -> None:
    command = [sys.executable, "-m", "federated.hospital.policy"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") == len(NAMES) + 2
    assert table in DOCUMENT.read_text("utf-8"), f"run `{' '.join(command[1:])}`"
