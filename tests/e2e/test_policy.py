"""A hospital's policy over a real study: what it stops, at which step, and what it never stops."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from chain.types import RoundNumber, StudyId
from federated.center import invite, open_round, propose, request_study
from federated.errors import PolicyRefused, StepError
from federated.hospital import Policy, approve, freeze, join, publish_results, report, submit, train
from federated.hospital.answer import answer_demands
from federated.hospital.run import advance
from records.splits import Part
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

freezing = importlib.import_module("federated.hospital.freeze")  # the function hides the module
FIRST, SECOND = RoundNumber(1), RoundNumber(2)


def _file(world: World, hospital: str = "north") -> Path:
    return world.folder / hospital / "policy.toml"


def _refused(action: Callable[[], object]) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as caught:
        action()
    return caught.value


def _another(world: World, name: str = "second") -> StudyId:
    """One more study that north is invited to."""
    spec = kit.study_spec(world, name=name)
    token = world.deployment.address_of("DevelopmentToken")
    chain = world.center.chain
    chain.client.send(chain.token(token).mint(world.center.address, spec.reward.budget_wei))
    number = request_study(world.center, spec, token)
    north = world.party("north").address
    invite(world.center, number, north)
    chain.client.send(chain.token(token).mint(north, spec.reward.bond_wei))
    return number


def test_approve_names_every_rule_that_refuses_and_records_nothing(granted: World) -> None:
    node, number = granted.node("north"), _another(granted)
    center = granted.center.address.lower()
    policy = Policy(modes=("masked",), most_rounds=1, denied_centers=(center,))  # type: ignore[arg-type]
    found = _refused(lambda: approve(node, number, policy))
    assert found.rules == ("modes", "most_rounds", "denied_centers")
    with pytest.raises(StepError, match="not approved here"):
        join(node, number)


def test_the_homes_policy_holds_beside_the_one_that_is_given(granted: World) -> None:
    node, number = granted.node("north"), _another(granted)
    _file(granted).write_text("most_rounds = 1\n")
    found = _refused(lambda: approve(node, number, Policy(modes=("masked",))))
    assert found.rules == ("modes", "most_rounds")
    assert "(in policy.toml now)" in str(found)


def test_a_policy_made_stricter_after_approving_stops_joining(granted: World) -> None:
    node, number = granted.node("north"), _another(granted)
    approve(node, number, Policy())
    _file(granted).write_text('rewards = ["leave-one-out"]\n')
    assert _refused(lambda: join(node, number)).rules == ("rewards",)
    assert not granted.center.chain.studies.enrolled(number, block_identifier=node.party.head())
    _file(granted).unlink()
    join(node, number)


def test_a_file_edited_between_approval_and_freeze_loosens_nothing(granted: World) -> None:
    node = granted.node("north")
    approve(node, granted.study, Policy(least_cohort=27))
    open_round(granted.center, granted.study)
    for text in ("least_cohort = 1\n", None):
        _file(granted).write_text(text) if text else _file(granted).unlink()
        found = _refused(lambda: freeze(node, granted.study, FIRST))
        assert found.rules == ("least_cohort",)
        assert "26, at least 27" in str(found)
    assert kit.round_at(granted, 1).frozen == 0
    approve(node, granted.study, Policy(least_cohort=26))  # looser, by the hospital's own word
    freeze(node, granted.study, FIRST)


def test_a_stricter_file_stops_the_very_next_step_and_a_looser_one_lets_it_go_on(
    granted: World,
) -> None:
    node, number = granted.node("north"), granted.study
    open_round(granted.center, number)
    steps = (
        lambda: freeze(node, number, FIRST),
        lambda: train(node, number, FIRST),
        lambda: submit(node, number, FIRST),
    )
    for step in steps:
        for rule, text in (
            ("most_rounds", "most_rounds = 1\n"),
            ("least_cohort", "least_cohort = 27\n"),
            ("least_training", "least_cohort = 26\nleast_training = 26\n"),
            ("least_per_class", "least_per_class = 13\n"),
            ("epsilon_per_study", "epsilon_per_study = 1.0\n"),
        ):
            _file(granted).write_text(text)
            assert _refused(step).rules == (rule,)
        assert kit.round_at(granted, 1).submitted == 0
        _file(granted).write_text("least_cohort = 26\nleast_training = 5\n")
        step()
    assert kit.round_at(granted, 1).submitted.bit_count() == 1


@pytest.mark.parametrize("text", ["least_cohorts = 1\n", "least_cohort = nan\n", "= 1\n"])
def test_a_broken_file_stops_every_step(granted: World, text: str) -> None:
    node, number = granted.node("north"), granted.study
    open_round(granted.center, number)
    freeze(node, number, FIRST)
    _file(granted).write_text(text)
    for step in (
        lambda: approve(node, number, Policy()),
        lambda: join(node, number),
        lambda: freeze(node, number, FIRST),
        lambda: train(node, number, FIRST),
        lambda: advance(node, number, lambda _: None),
    ):
        assert str(_file(granted)) in str(_refused(step))


def test_a_file_exchanged_for_a_link_stops_every_step(granted: World, tmp_path: Path) -> None:
    node, theirs = granted.node("north"), tmp_path / "theirs.toml"
    theirs.write_text("least_cohort = 1\n")
    _file(granted).symlink_to(theirs)
    open_round(granted.center, granted.study)
    assert "is a link" in str(_refused(lambda: freeze(node, granted.study, FIRST)))
    assert kit.round_at(granted, 1).frozen == 0


def test_an_approval_is_of_one_spec_and_no_other_has_it_under_its_number(granted: World) -> None:
    node, other = granted.node("north"), _another(granted)
    journal = node.party.journal
    approval = journal.get(f"approved-{granted.study}")
    assert approval is not None
    journal.put(f"approved-{other}", approval)  # the number that a center would have us believe
    with pytest.raises(StepError, match=f"study {other} is not approved here"):
        join(node, other)
    journal.put(f"approved-{granted.study}", approval | {"spec": "00" * 32})
    open_round(granted.center, granted.study)
    with pytest.raises(StepError, match="not approved here"):
        freeze(node, granted.study, FIRST)
    assert kit.round_at(granted, 1).frozen == 0


def test_a_second_study_is_one_too_many_until_the_first_has_ended(granted: World) -> None:
    node, number = granted.node("north"), _another(granted)
    one = Policy(most_studies=1)
    assert _refused(lambda: approve(node, number, one)).rules == ("most_studies",)
    approve(node, granted.study, one)  # itself counts once
    granted.clock.advance_to(granted.read().terms.end_by + 1)
    approve(node, number, one)


def test_many_studies_approved_at_once_are_not_all_joined(granted: World) -> None:
    node, numbers = granted.node("north"), [_another(granted, name) for name in ("second", "third")]
    assert numbers == [2, 3]
    for number in numbers:
        approve(node, number, Policy(most_studies=2))
    join(node, numbers[0])
    assert _refused(lambda: join(node, numbers[1])).rules == ("most_studies",)
    assert join(node, numbers[0]) == 0, "what is joined stays so"


def test_a_round_of_few_who_train_is_refused_however_large_its_cohort(granted: World) -> None:
    node = granted.node("north")
    approve(node, granted.study, Policy(least_cohort=26, least_training=25))
    open_round(granted.center, granted.study)
    found = _refused(lambda: freeze(node, granted.study, FIRST))
    assert found.rules == ("least_training",)
    assert kit.round_at(granted, 1).frozen == 0


def test_a_freeze_kept_over_a_kill_is_held_against_the_policy_before_it_is_sent_again(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = granted.node("north")
    open_round(granted.center, granted.study)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(freezing, "_send", killed)
        with pytest.raises(KeyboardInterrupt):
            freeze(node, granted.study, FIRST)
    _file(granted).write_text("least_cohort = 27\n")
    assert _refused(lambda: freeze(node, granted.study, FIRST)).rules == ("least_cohort",)
    assert kit.round_at(granted, 1).frozen == 0


def test_a_hospital_that_its_policy_stopped_still_answers_for_what_it_froze(
    granted: World,
) -> None:
    node = granted.node("north")
    open_round(granted.center, granted.study)
    freeze(node, granted.study, FIRST)
    commitment = kit.freeze_of(granted, 1, "north")
    auditor = granted.auditor.chain
    auditor.client.send(auditor.challenges.demand(commitment, 0))
    _file(granted).write_text("most_rounds = 1\n")
    assert answer_demands(node, granted.study) == 1
    _refused(lambda: train(node, granted.study, FIRST))


def test_counts_do_not_leave_a_hospital_whose_policy_forbids_the_study(finished: World) -> None:
    node, number = finished.node("north"), finished.study
    _file(finished).write_text('models = ["cnn"]\n')
    found = _refused(lambda: publish_results(node, number, SECOND, Part.VALIDATION))
    assert found.rules == ("models",)


def test_no_report_leaves_a_hospital_that_refuses_its_rule_by_now(contributing: World) -> None:
    node, number = contributing.node("north"), contributing.study
    assert propose(contributing.center, number, FIRST) is not None
    _file(contributing).write_text('rewards = ["count"]\n')
    assert _refused(lambda: report(node, number, FIRST)).rules == ("rewards",)
    _file(contributing).unlink()
    assert report(node, number, FIRST) is not None
