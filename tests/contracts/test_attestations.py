"""Attestations: auditors' verdicts, the latest of each counted, decided by nobody."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts.kit import ZERO, World, open_study

pytestmark = pytest.mark.engine("anvil")

KEYLESS, KEYED = 1, 2
OK, TAMPERED, INCOMPLETE = 1, 2, 3
REPORT = keccak(text="report")


@pytest.fixture
def study(world: World) -> int:
    return open_study(world, [world.auditor])


def attest(
    world: World, study: int, round_: int = 0, level: int = KEYLESS, verdict: int = OK
) -> Any:
    return world.attestations.attest(study, round_, level, verdict, REPORT)


def test_a_verdict_is_recorded_with_its_level(world: World, study: int) -> None:
    receipt = world.send(attest(world, study, level=KEYED), world.auditor)
    assert world.logs(receipt) == [("Attested", study, 0, world.auditor, KEYED, OK, REPORT)]
    assert world.attestations.verdictOf(study, 0, world.auditor).call() == [KEYED, OK, REPORT]
    assert world.attestations.counts(study, 0).call() == [1, 0, 0]
    assert world.attestations.verdictOf(study, 0, world.auditor2).call() == [0, 0, ZERO]


def test_a_later_verdict_replaces_the_earlier_in_the_counts(world: World, study: int) -> None:
    for verdict, counts in ((OK, [1, 0, 0]), (TAMPERED, [0, 1, 0]), (INCOMPLETE, [0, 0, 1])):
        world.send(attest(world, study, verdict=verdict), world.auditor)
        assert world.attestations.counts(study, 0).call() == counts
    world.send(attest(world, study, verdict=INCOMPLETE), world.auditor)
    world.send(attest(world, study, verdict=OK), world.auditor2)
    assert world.attestations.counts(study, 0).call() == [1, 0, 1]


def test_only_auditors_attest(world: World, study: int) -> None:
    for sender in (world.operator, world.center, world.h1, world.stranger):
        refusal = world.refused(attest(world, study), sender)
        assert refusal == ("NotAnAuditor", sender.lower())
    world.send(world.participants.dismiss(world.auditor), world.operator)
    refusal = world.refused(attest(world, study), world.auditor)
    assert refusal == ("NotAnAuditor", world.auditor.lower())


def test_only_an_auditor_of_the_study_claims_the_keyed_level(world: World, study: int) -> None:
    refusal = world.refused(attest(world, study, level=KEYED), world.auditor2)
    assert refusal == ("NotAnAuditor", world.auditor2.lower())
    world.send(attest(world, study, level=KEYLESS), world.auditor2)


def test_rounds_and_studies_must_exist(world: World, study: int) -> None:
    assert world.refused(attest(world, 99), world.auditor) == ("UnknownStudy", 99)
    unknown = world.refused(attest(world, study, round_=1), world.auditor)
    assert unknown == ("UnknownRound", study, 1)
    world.send(world.studies.invite(study, world.h1), world.center)
    world.send(world.studies.enrol(study, keccak(text="spec")), world.h1)
    world.send(world.rounds.open(study, 0, keccak(text="state")), world.center)
    world.send(attest(world, study, round_=1), world.auditor)
    assert world.attestations.counts(study, 1).call() == [1, 0, 0]
    assert world.attestations.counts(study, 0).call() == [0, 0, 0]


def test_a_verdict_says_something(world: World, study: int) -> None:
    for level, verdict in ((0, OK), (KEYLESS, 0)):
        call = attest(world, study, level=level, verdict=verdict)
        assert world.refused(call, world.auditor) == ("EmptyVerdict",)
