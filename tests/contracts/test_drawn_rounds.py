"""Rounds for some of the hospitals alone: the contract holds what they were drawn from."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts import settlement
from tests.contracts.kit import World
from tests.contracts.settlement import STATE, Consent, Study

pytestmark = pytest.mark.engine("anvil")


@pytest.fixture
def study(world: World) -> Study:
    return settlement.found(world)


@pytest.fixture
def consents(study: Study) -> list[list[Consent]]:
    """Three patients in each of three hospitals."""
    return [study.grant(hospital, 3) for hospital in range(3)]


def opening(study: Study, pool: int, drawn: int) -> Any:
    return study.world.rounds.openDrawn(study.number, 0, STATE, pool, drawn)


def test_a_drawn_round_names_its_pool_and_waits_for_no_other_hospital(
    study: Study, consents: list[list[Consent]]
) -> None:
    """It is complete when the drawn ones are in: nobody waits for freezeBy."""
    receipt = study.world.send(opening(study, 0b111, 0b101), study.world.center)
    assert study.world.logs(receipt) == [
        ("RoundOpened", study.number, 1, 0, STATE, 0b101),
        ("Drawn", study.number, 1, 0b111),
    ]
    for hospital in (0, 2):
        study.frozen(1, hospital, consents[hospital])
        study.submit(1, hospital)
    left_out = study.cohort(1, 1, consents[1])
    refusal = ("NotInRound", study.hospitals[1].lower())
    for call in (study.world.rounds.freeze(left_out.freeze), study.submission(1)):
        assert study.world.refused(call, study.hospitals[1]) == refusal
    study.finalize(1, 0b101)
    assert study.round(1).enrolled == 0b101


def test_only_the_center_draws(study: Study) -> None:
    for sender in (study.hospitals[0], study.world.stranger):
        refusal = ("NotTheCenter", sender.lower())
        assert study.world.refused(opening(study, 0b111, 0b11), sender) == refusal


def test_a_draw_from_other_hospitals_than_stand_now_is_refused(study: Study) -> None:
    """Who leaves or enrols after the draw changes it; a center cannot leave it as it was."""
    center, world = study.world.center, study.world
    for pool in (0b011, 0b1111, 0):
        assert world.refused(opening(study, pool, 0b11), center) == ("OtherHospitals", pool, 0b111)
    world.send(world.studies.quit(study.number), study.hospitals[2])
    assert world.refused(opening(study, 0b111, 0b11), center) == ("OtherHospitals", 0b111, 0b11)
    world.send(opening(study, 0b11, 0b11), center)


def test_nobody_outside_of_the_pool_is_drawn_and_at_least_k_are(study: Study) -> None:
    center = study.world.center
    outside = ("NotInPool", 0b1011, 0b111)
    assert study.world.refused(opening(study, 0b111, 0b1011), center) == outside
    least = study.terms.minHospitals
    few = (1 << (least - 1)) - 1
    refusal = ("TooFewHospitals", least - 1, least)
    assert study.world.refused(opening(study, 0b111, few), center) == refusal


def test_a_voided_hospital_is_in_no_pool(study: Study, consents: list[list[Consent]]) -> None:
    study.open()
    cohort = study.cohort(1, 2, consents[2], n=2, weight=1)
    study.freeze(cohort)
    world = study.world
    world.send(world.challenges.challengeLeaf(*cohort.evidence(2)), world.stranger)
    world.send(world.rounds.abort(study.number, 1), world.center)
    refusal = ("OtherHospitals", 0b111, 0b11)
    assert world.refused(opening(study, 0b111, 0b110), world.center) == refusal
    world.send(opening(study, 0b11, 0b11), world.center)


def test_a_round_for_a_fifth_hospital_alone_has_its_seat_and_no_other(world: World) -> None:
    """Seats are four a word: the first word of this round stays empty."""
    terms: dict[str, Any] = {"bond": 0, "minHospitals": 1, "maxHospitals": 5}
    study = settlement.found(world, hospitals=0, **terms)
    for number in range(5):
        settlement.enrol(study, settlement.new_hospital(world, number))
    world.send(opening(study, 0b11111, 0b10000), world.center)
    consents = study.grant(4, 1)
    study.frozen(1, 4, consents)
    for hospital in range(4):
        call = world.rounds.freeze(study.cohort(1, hospital, consents).freeze)
        refusal = ("NotInRound", study.hospitals[hospital].lower())
        assert world.refused(call, study.hospitals[hospital]) == refusal
    study.submit(1, 4)
    study.finalize(1, 0b10000)
    assert (study.round(1).frozen, study.round(1).included) == (0b10000, 0b10000)
