"""Studies: terms without contradiction, invited hospitals, one index each, money moved at once."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts.kit import (
    FUNDING,
    HALF,
    NOBODY,
    ZERO,
    Reverted,
    World,
    open_call,
    open_study,
    terms_of,
)

pytestmark = pytest.mark.engine("anvil")

SPEC = keccak(text="spec")
MASKED = {
    "masked": True,
    "unmaskPeriod": 10,
    "minHospitals": 3,
    "maxHospitals": 4,
    "threshold": 3,
}


@pytest.fixture
def study(world: World) -> int:
    return open_study(world, [world.auditor])


def invite_and_enrol(world: World, study: int, hospital: str) -> Any:
    world.send(world.studies.invite(study, hospital), world.center)
    return world.send(world.studies.enrol(study, SPEC), hospital)


def test_a_center_opens_a_study_and_its_money_moves(world: World) -> None:
    terms = terms_of(world)
    before = world.developmenttoken.balanceOf(world.center).call()
    call = world.studies.open(tuple(terms.values()), [world.auditor, world.auditor2], FUNDING)
    first, second, *_ = world.logs(world.send(call, world.center))
    study = world.studies.count().call()
    assert first[:4] == ("StudyOpened", study, world.center, SPEC)
    assert dict(first[4]) == terms
    assert first[5] == [world.auditor, world.auditor2]
    assert second == ("Funded", study, world.center, FUNDING)
    assert before - world.developmenttoken.balanceOf(world.center).call() == FUNDING
    assert world.escrow.unreserved(study).call() == FUNDING - HALF


def test_what_was_opened_is_read_back(world: World, study: int) -> None:
    terms = terms_of(world)
    stored = world.studies.terms(study).call()
    assert stored[:7] == tuple(terms.values())[:7]
    assert world.studies.centerOf(study).call() == world.center
    assert world.studies.auditorsOf(study).call() == [world.auditor]
    assert world.studies.isAuditor(study, world.auditor).call()
    assert not world.studies.isAuditor(study, world.auditor2).call()
    assert world.studies.enrolled(study).call() == 0
    assert world.studies.hospitalCount(study).call() == 0


def test_studies_count_from_one(world: World) -> None:
    before = world.studies.count().call()
    assert open_study(world) == before + 1
    assert open_study(world) == before + 2
    assert world.refused(world.studies.terms(0), world.stranger) == ("UnknownStudy", 0)


def test_only_a_center_opens(world: World) -> None:
    call = open_call(world)
    for sender in (world.operator, world.h1, world.auditor, world.stranger):
        assert world.refused(call, sender) == ("WrongRole", sender.lower())
    world.send(world.participants.dismiss(world.center), world.operator)
    assert world.refused(call, world.center) == ("WrongRole", world.center.lower())


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"spec": ZERO}, "spec is not zero"),
        ({"state": ZERO}, "state is not zero"),
        ({"purposes": 0}, "purposes are not empty"),
        ({"token": NOBODY}, "token is not zero"),
        ({"hospitalPool": FUNDING + 1}, "hospitalPool <= funding"),
        ({"freezePeriod": 0}, "freezePeriod > 0"),
        ({"submitPeriod": 0}, "submitPeriod > 0"),
        ({"finalizePeriod": 0}, "finalizePeriod > 0"),
        ({"answerPeriod": 0}, "answerPeriod > 0"),
        ({"answerPeriod": 2_000}, "endBy + answerPeriod < challengeEnd"),
        ({"maxWeight": 0}, "maxWeight > 0"),
        ({"maxPatients": 0}, "maxPatients > 0"),
        ({"maxDemands": 0}, "maxDemands > 0"),
        ({"minHospitals": 0}, "1 <= minHospitals"),
        ({"minHospitals": 5}, "minHospitals <= maxHospitals"),
        ({"maxHospitals": 257}, "maxHospitals <= 256"),
        ({"maxRounds": 0}, "1 <= maxRounds <= 256"),
        ({"maxRounds": 257}, "1 <= maxRounds <= 256"),
        ({"unmaskPeriod": 1}, "unmaskPeriod = 0 exactly in open mode"),
        ({"threshold": 1}, "open mode: threshold = 0"),
        (MASKED | {"unmaskPeriod": 0}, "unmaskPeriod = 0 exactly in open mode"),
        (MASKED | {"minHospitals": 2}, "masked mode: minHospitals >= 3"),
        (MASKED | {"threshold": 2}, "masked mode: 2 threshold > maxHospitals"),
        (MASKED | {"threshold": 4}, "masked mode: minHospitals >= threshold"),
        ({"rule": 1}, "contribution rule: at least one auditor"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(
    world: World, changes: dict[str, Any], rule: str
) -> None:
    call = open_call(world, **changes)
    assert world.refused(call, world.center) == ("BadTerms", rule)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("endBy", "settleBy"),
        ("settleBy", "challengeEnd"),
        ("challengeEnd", "claimEnd"),
        ("claimEnd", "refundAt"),
    ],
)
def test_times_stand_in_order(world: World, earlier: str, later: str) -> None:
    terms = terms_of(world)
    terms[earlier] = terms[later]
    call = world.studies.open(tuple(terms.values()), [], FUNDING)
    assert world.refused(call, world.center) == ("BadTerms", f"{earlier} < {later}")


def test_a_study_that_ended_before_it_began_is_refused(world: World) -> None:
    call = open_call(world, endBy=world.now)
    assert world.refused(call, world.center) == ("BadTerms", "now < endBy")


def test_times_near_the_end_of_their_range_do_not_overflow(world: World) -> None:
    last = 2**64 - 1
    times = {"endBy": last - 4, "settleBy": last - 3, "challengeEnd": last - 2}
    terms = terms_of(world, **times, claimEnd=last - 1, refundAt=last, answerPeriod=2**32 - 1)
    refused = world.refused(world.studies.open(tuple(terms.values()), [], FUNDING), world.center)
    assert refused == ("BadTerms", "endBy + answerPeriod < challengeEnd")


def test_a_masked_study_and_256_hospitals_are_possible(world: World) -> None:
    study = open_study(world, **MASKED)
    assert world.studies.terms(study).call()[25] is True
    study = open_study(world, maxHospitals=256, maxRounds=256)
    assert world.studies.terms(study).call()[20:22] == (256, 256)


def test_auditors_are_distinct_auditors_and_at_most_sixteen(world: World) -> None:
    def refused(auditors: list[str], **changes: Any) -> tuple[Any, ...]:
        return world.refused(open_call(world, auditors, **changes), world.center)

    twice = [world.auditor, world.auditor2, world.auditor]
    assert refused(twice) == ("BadTerms", "no auditor twice")
    assert refused([NOBODY]) == ("WrongRole", NOBODY)
    assert refused([world.h1]) == ("WrongRole", world.h1.lower())
    assert refused([world.auditor] * 17) == ("BadTerms", "auditors <= 16")
    by_contribution = {"rule": 1, "auditorQuorum": 0}
    expected = ("BadTerms", "contribution rule: auditorQuorum > 0")
    assert refused([world.auditor], **by_contribution) == expected
    by_contribution["auditorQuorum"] = 2
    expected = ("BadTerms", "contribution rule: auditorQuorum <= auditors")
    assert refused([world.auditor], **by_contribution) == expected
    open_study(world, [world.auditor], rule=1, auditorQuorum=1)


def test_sixteen_auditors_are_named(world: World) -> None:
    auditors = [world.w3.to_checksum_address(keccak(text=f"auditor {n}")[:20]) for n in range(16)]
    for account in auditors:
        world.send(world.participants.admit(account, 3, ZERO), world.operator)
    study = open_study(world, auditors)
    assert world.studies.auditorsOf(study).call() == auditors


def test_without_the_money_no_study_opens(world: World) -> None:
    before = world.studies.count().call()
    call = open_call(world, funding=2**112 - 1)
    assert world.refused(call, world.center)[0] == "ERC20InsufficientBalance"
    beyond = open_call(world, funding=2**112)
    refusal = world.refused(beyond, world.center)
    assert refusal == ("SafeCastOverflowedUintDowncast", 112, 2**112)
    with pytest.raises(Reverted):
        world.send(call, world.center)
    assert world.studies.count().call() == before


def test_a_bond_of_nothing_moves_no_token(world: World) -> None:
    """Some tokens refuse to move nothing."""
    receipt = invite_and_enrol(world, open_study(world, bond=0), world.h1)
    names = [log[0] for log in world.logs(receipt)]
    assert "Enrolled" in names
    assert "Transfer" not in names


def test_only_the_center_of_the_study_invites_hospitals(world: World, study: int) -> None:
    invite = world.studies.invite(study, world.h1)
    for sender in (world.operator, world.h1, world.stranger):
        assert world.refused(invite, sender) == ("NotTheCenter", sender.lower())
    stranger = world.studies.invite(study, world.stranger)
    assert world.refused(stranger, world.center) == ("WrongRole", world.stranger.lower())
    receipt = world.send(invite, world.center)
    assert world.logs(receipt) == [("Invited", study, world.h1)]
    assert world.studies.isInvited(study, world.h1).call()
    assert world.logs(world.send(invite, world.center)) == []
    assert world.refused(world.studies.invite(99, world.h1), world.center) == ("UnknownStudy", 99)


def test_an_invited_hospital_enrols_with_its_bond(world: World, study: int) -> None:
    receipt = invite_and_enrol(world, study, world.h2)
    assert world.logs(receipt)[:2] == [
        ("Enrolled", study, world.h2, 0),
        ("BondPosted", study, world.h2, 1_000),
    ]
    invite_and_enrol(world, study, world.h1)
    assert world.studies.enrolled(study).call() == 0b11
    assert world.studies.hospitalCount(study).call() == 2
    assert world.studies.hospitalAt(study, 0).call() == world.h2
    assert world.studies.hospitalAt(study, 1).call() == world.h1
    assert world.studies.indexOf(study, world.h1).call() == 1
    assert world.escrow.bondOf(study, world.h1).call() == 1_000


def test_enrolment_is_refused_by_name(world: World, study: int) -> None:
    enrol = world.studies.enrol(study, SPEC)
    assert world.refused(world.studies.enrol(99, SPEC), world.h1) == ("UnknownStudy", 99)
    assert world.refused(enrol, world.stranger) == ("WrongRole", world.stranger.lower())
    assert world.refused(enrol, world.h1) == ("NotInvited", world.h1.lower())
    world.send(world.studies.invite(study, world.h1), world.center)
    assert world.refused(world.studies.enrol(study, ZERO), world.h1) == ("WrongSpec", ZERO, SPEC)
    world.send(enrol, world.h1)
    assert world.refused(enrol, world.h1) == ("AlreadyEnrolled", world.h1.lower())


def test_a_dismissed_hospital_does_not_enrol(world: World, study: int) -> None:
    world.send(world.studies.invite(study, world.h1), world.center)
    world.send(world.participants.dismiss(world.h1), world.operator)
    enrol = world.studies.enrol(study, SPEC)
    assert world.refused(enrol, world.h1) == ("WrongRole", world.h1.lower())


def test_a_full_study_takes_no_hospital_even_when_one_left(world: World) -> None:
    study = open_study(world, maxHospitals=1)
    invite_and_enrol(world, study, world.h1)
    world.send(world.studies.quit(study), world.h1)
    world.send(world.studies.invite(study, world.h2), world.center)
    enrol = world.studies.enrol(study, SPEC)
    assert world.refused(enrol, world.h2) == ("StudyFull", study)


def test_nobody_is_invited_or_enrols_once_the_study_ended(world: World, study: int) -> None:
    world.send(world.studies.invite(study, world.h1), world.center)
    end = world.studies.terms(study).call()[7]
    world.at(end)
    world.mine()
    assert world.refused(world.studies.enrol(study, SPEC), world.h1) == ("StudyEnded", study)
    invite = world.studies.invite(study, world.h2)
    assert world.refused(invite, world.center) == ("StudyEnded", study)


def test_a_hospital_that_quits_keeps_index_and_bond(world: World, study: int) -> None:
    for hospital in (world.h1, world.h2):
        invite_and_enrol(world, study, hospital)
    receipt = world.send(world.studies.quit(study), world.h1)
    assert world.logs(receipt) == [("Left", study, world.h1, 0)]
    assert world.studies.enrolled(study).call() == 0b10
    assert world.studies.indexOf(study, world.h1).call() == 0
    assert world.studies.hospitalCount(study).call() == 2
    assert world.escrow.bondOf(study, world.h1).call() == 1_000
    quit_again = world.studies.quit(study)
    assert world.refused(quit_again, world.h1) == ("NotEnrolled", world.h1.lower())
    enrol = world.studies.enrol(study, SPEC)
    assert world.refused(enrol, world.h1) == ("AlreadyEnrolled", world.h1.lower())


def test_who_never_enrolled_has_no_index(world: World, study: int) -> None:
    index = world.studies.indexOf(study, world.h1)
    assert world.refused(index, world.h1) == ("NotEnrolled", world.h1.lower())
    assert world.refused(world.studies.quit(study), world.h1) == ("NotEnrolled", world.h1.lower())
    assert world.refused(world.studies.hospitalAt(study, 0), world.h1) == ("NotEnrolled", NOBODY)


def test_an_unknown_study_is_named_as_such(world: World) -> None:
    unknown = [
        world.studies.terms(99),
        world.studies.centerOf(99),
        world.studies.auditorsOf(99),
        world.studies.enrolled(99),
        world.studies.hospitalCount(99),
        world.studies.hospitalAt(99, 0),
        world.studies.indexOf(99, world.h1),
        world.studies.quit(99),
    ]
    for call in unknown:
        assert world.refused(call, world.stranger) == ("UnknownStudy", 99)
    assert not world.studies.isInvited(99, world.h1).call()
    assert not world.studies.isAuditor(99, world.auditor).call()
