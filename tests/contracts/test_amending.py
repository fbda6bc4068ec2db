"""Errors are corrected by a linked record: a reason amended, a consent superseded."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from tests.contracts import kit
from tests.contracts.kit import ZERO, World
from tests.contracts.test_consents import Desk, desk_of

pytestmark = pytest.mark.engine("anvil")

PATIENT, PAPER, KEY_LOST, DIED, ERASURE, SUPERSEDED = range(1, 7)
ALREADY_USED = 3
RECORD = keccak(text="statement")


@pytest.fixture
def desks(world: World) -> tuple[Desk, Desk]:
    """Two tiers of one hospital in one study."""
    study = kit.open_study(world)
    return desk_of(world, study), desk_of(world, study, price=50)


def withdraw(desk: Desk, key: LocalAccount, reason: int = PAPER) -> Any:
    call = desk.world.consents.revokeByHospital([(key.address, desk.agreement, 0, reason)])
    return desk.world.send(call, desk.world.h1)


def amend(desk: Desk, key: LocalAccount, reason: int, record: bytes = RECORD) -> Any:
    return desk.world.consents.amend((key.address, desk.agreement, 0, reason), record)


def supersede(
    old: Desk,
    key: LocalAccount,
    new: Desk,
    successor: LocalAccount,
    *,
    signers: tuple[LocalAccount, ...] = (),
    deadline: int | None = None,
) -> Any:
    deadline = deadline or old.later
    message = {"id": old.id(key), "by": new.id(successor), "deadline": deadline}
    signed = [old.signer.sign(one, "Supersede", message) for one in signers or (key, successor)]
    first = (key.address, old.agreement, 0, signed[0])
    second = (successor.address, new.agreement, 0, signed[1])
    return old.world.consents.supersede(first, second, deadline)


def test_a_hospital_corrects_its_reason_and_nothing_else(desks: tuple[Desk, Desk]) -> None:
    desk, key = desks[0], kit.patient(1)
    world = desk.world
    desk.grant(key)
    withdraw(desk, key)
    before = desk.consent(key)
    receipt = world.send(amend(desk, key, DIED), world.h1)
    id_ = desk.id(key)
    shown = [("Amended", desk.agreement, world.h1, id_, PAPER, DIED, RECORD)]
    assert world.logs(receipt) == shown
    assert desk.consent(key) == (*before[:3], DIED, *before[4:])
    assert not desk.active(key)


def test_a_correction_says_something_new_and_why(desks: tuple[Desk, Desk]) -> None:
    desk, key = desks[0], kit.patient(1)
    world = desk.world
    desk.grant(key)
    assert world.refused(amend(desk, key, DIED), world.h1) == ("BadReason",)
    withdraw(desk, key)
    for reason in (0, PATIENT, PAPER, SUPERSEDED):
        assert world.refused(amend(desk, key, reason), world.h1) == ("BadReason",)
    assert world.refused(amend(desk, key, DIED, ZERO), world.h1) == ("NoRecord",)
    for sender in (world.operator, world.center, world.h2, world.stranger):
        refusal = world.refused(amend(desk, key, DIED), sender)
        assert refusal == ("NotTheHospital", sender.lower())


def test_nobody_rewrites_why_a_patient_withdrew(desks: tuple[Desk, Desk]) -> None:
    desk, key = desks[0], kit.patient(1)
    desk.grant(key)
    desk.revoke(key)
    assert desk.world.refused(amend(desk, key, ERASURE), desk.world.h1) == ("BadReason",)


def test_a_hospital_cannot_give_a_reason_that_is_the_patients(desks: tuple[Desk, Desk]) -> None:
    desk, key = desks[0], kit.patient(1)
    desk.grant(key)
    for reason in (0, PATIENT, SUPERSEDED):
        call = desk.world.consents.revokeByHospital([(key.address, desk.agreement, 0, reason)])
        assert desk.world.refused(call, desk.world.h1) == ("BadReason",)


def test_a_consent_ends_in_favour_of_another_in_one_step(desks: tuple[Desk, Desk]) -> None:
    (old, new), (key, successor) = desks, (kit.patient(1), kit.patient(2))
    world = old.world
    old.grant(key)
    new.grant(successor)
    receipt = world.send(supersede(old, key, new, successor), world.relayer)
    assert world.logs(receipt) == [
        ("Revoked", old.agreement, world.h1, old.id(key), SUPERSEDED),
        ("Superseded", old.agreement, world.h1, old.id(key), new.id(successor)),
    ]
    assert (old.active(key), new.active(successor)) == (False, True)
    assert old.active(key, block=world.block - 1)
    again = supersede(old, key, new, successor)
    assert world.refused(again, world.relayer)[0] == "Refused"


def test_a_strangers_consent_is_no_successor(desks: tuple[Desk, Desk]) -> None:
    (old, new), (key, stranger) = desks, (kit.patient(1), kit.patient(2))
    world = old.world
    old.grant(key)
    new.grant(stranger)
    for signers in ((key, key), (stranger, stranger), (stranger, key)):
        call = supersede(old, key, new, stranger, signers=signers)
        assert world.refused(call, world.relayer)[0] == "Refused"
    late = supersede(old, key, new, stranger, deadline=world.now - 1)
    assert world.refused(late, world.relayer)[0] == "Refused"
    assert old.active(key)


def test_a_consent_that_nobody_granted_is_not_superseded(desks: tuple[Desk, Desk]) -> None:
    """The same patient's first consent holds; the id that never did gets no end in its favour."""
    (old, new), (key, successor) = desks, (kit.patient(1), kit.patient(2))
    old.grant(kit.patient(3))
    new.grant(successor)
    refusal = ("Refused", old.id(key), ALREADY_USED)
    assert old.world.refused(supersede(old, key, new, successor), old.world.relayer) == refusal


def test_only_a_consent_that_holds_for_the_same_hospital_and_study_is_a_successor(
    desks: tuple[Desk, Desk],
) -> None:
    (old, new), (key, successor) = desks, (kit.patient(1), kit.patient(2))
    world = old.world
    old.grant(key)
    elsewhere = desk_of(world, old.study, world.h2)
    other_study = desk_of(world, kit.open_study(world))
    world.send(elsewhere.batch([elsewhere.message(successor)]), world.h2)
    other_study.grant(successor)
    new.grant(successor)
    new.revoke(successor)
    for desk in (elsewhere, other_study, new):
        refusal = world.refused(supersede(old, key, desk, successor), world.relayer)
        assert refusal == ("NoSuccessor", desk.id(successor))
    itself = supersede(old, key, old, key)
    assert world.refused(itself, world.relayer) == ("NoSuccessor", old.id(key))
    assert old.active(key)
