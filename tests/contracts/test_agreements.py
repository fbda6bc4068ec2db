"""Agreements: tiers that only the center opens, that close, and that nobody alters."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts.kit import World, open_study, open_tier, signer_of

pytestmark = pytest.mark.engine("anvil")

TERMS = keccak(text="terms")


@pytest.fixture
def study(world: World) -> int:
    study = open_study(world)
    world.send(world.studies.invite(study, world.h1), world.center)
    return study


def tier_call(world: World, study: int, **changes: Any) -> Any:
    given = {
        "study": study,
        "hospital": world.h1,
        "terms": TERMS,
        "price": 100,
        "purposes": 0b11,
        "notAfter": world.now + 5_000,
        "maxCount": 7,
        "reward": 0,
    } | changes
    return world.agreements.openTier(*given.values())


def test_the_center_opens_a_tier_that_is_read_back(world: World, study: int) -> None:
    not_after = world.now + 5_000
    receipt = world.send(tier_call(world, study, notAfter=not_after, reward=1), world.center)
    agreement = world.agreements.count().call()
    values = (TERMS, 100, 0b11, not_after, 7, 1)
    assert world.logs(receipt) == [("TierOpened", agreement, study, world.h1, *values)]
    stored = (study, world.h1, TERMS, 100, 0b11, not_after, 7, 0, 1, False, True)
    assert world.agreements.tier(agreement).call() == stored
    assert world.agreements.hospitalOf(agreement).call() == world.h1
    assert world.agreements.admittedTo(study, world.h1).call() == 0


def test_only_the_center_of_that_study_opens_tiers(world: World, study: int) -> None:
    for sender in (world.operator, world.h1, world.auditor, world.stranger):
        refusal = world.refused(tier_call(world, study), sender)
        assert refusal == ("NotTheCenter", sender.lower())
    assert world.refused(tier_call(world, 99), world.center) == ("UnknownStudy", 99)


def test_a_tier_needs_an_invited_hospital(world: World, study: int) -> None:
    call = tier_call(world, study, hospital=world.h2)
    assert world.refused(call, world.center) == ("NotInvited", world.h2.lower())


def test_a_tier_that_permits_nothing_to_nobody_is_refused(world: World, study: int) -> None:
    for change in ({"maxCount": 0}, {"purposes": 0}, {"notAfter": world.now}):
        assert world.refused(tier_call(world, study, **change), world.center) == ("EmptyTier",)
    world.send(tier_call(world, study, price=0), world.center)


def test_a_tier_covers_its_study_only_with_all_its_purposes(world: World, study: int) -> None:
    for purposes, covers in ((0b11, True), (0b111, True), (0b01, False), (0b100, False)):
        agreement = open_tier(world, study, world.h1, purposes=purposes)
        assert world.agreements.tier(agreement).call()[10] is covers


def test_a_price_beyond_what_a_consent_holds_is_refused(world: World, study: int) -> None:
    agreement = open_tier(world, study, world.h1, price=2**96 - 1)
    assert world.agreements.tier(agreement).call()[3] == 2**96 - 1
    refusal = world.refused(tier_call(world, study, price=2**96), world.center)
    assert refusal == ("SafeCastOverflowedUintDowncast", 96, 2**96)


def test_no_tier_opens_once_the_study_ended(world: World, study: int) -> None:
    end = world.studies.terms(study).call()[7]
    world.at(end - 1)
    world.send(tier_call(world, study, notAfter=end + 50), world.center)
    world.at(end)
    world.mine()
    call = tier_call(world, study, notAfter=end + 50)
    assert world.refused(call, world.center) == ("StudyEnded", study)


def test_the_center_closes_a_tier_once(world: World, study: int) -> None:
    agreement = open_tier(world, study, world.h1)
    close = world.agreements.closeTier(agreement)
    for sender in (world.operator, world.h1, world.stranger):
        assert world.refused(close, sender) == ("NotTheCenter", sender.lower())
    assert world.logs(world.send(close, world.center)) == [("TierClosed", agreement)]
    assert world.agreements.tier(agreement).call()[9] is True
    assert world.refused(close, world.center) == ("AlreadyClosed", agreement)


def test_an_unknown_agreement_is_named_as_such(world: World) -> None:
    calls = [world.agreements.tier(99), world.agreements.closeTier(99), world.agreements.tier(0)]
    names = [world.refused(call, world.center) for call in calls]
    assert names == [("UnknownAgreement", 99), ("UnknownAgreement", 99), ("UnknownAgreement", 0)]
    assert int(world.agreements.hospitalOf(99).call(), 16) == 0


def test_only_consents_counts_people(world: World, study: int) -> None:
    agreement = open_tier(world, study, world.h1)
    for sender in (world.operator, world.center, world.h1, world.stranger):
        assert world.refused(world.agreements.admit(agreement, 1), sender) == ("OnlyConsents",)


def test_a_counter_offer_has_the_digest_that_wallets_sign(world: World, study: int) -> None:
    offer = {
        "agreement": open_tier(world, study, world.h1),
        "price": 150,
        "purposes": 0b101,
        "notAfter": world.now + 100,
        "expiry": world.now + 50,
        "salt": keccak(text="salt"),
    }
    expected = signer_of(world, "agreements").digest("CounterOffer", offer)
    assert world.agreements.hashCounterOffer(tuple(offer.values())).call() == expected
    other = offer | {"salt": keccak(text="other salt")}
    assert world.agreements.hashCounterOffer(tuple(other.values())).call() != expected
