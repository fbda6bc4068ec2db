"""Participants: one role an account, keys with a history, only the operator admits."""

from __future__ import annotations

import pytest

from tests.contracts.kit import NOBODY, ZERO, World

pytestmark = pytest.mark.engine("anvil")

SIGNING, SEALING = b"\x01" * 32, b"\x02" * 32
HOSPITAL, CENTER = 1, 2


def test_the_operator_admits_an_account_with_one_role(world: World) -> None:
    admit = world.participants.admit(world.stranger, HOSPITAL, SIGNING)
    receipt = world.send(admit, world.operator)
    assert world.logs(receipt) == [("Admitted", world.stranger, HOSPITAL, SIGNING)]
    assert world.participants.roleOf(world.stranger).call() == HOSPITAL
    assert world.participants.metadataOf(world.stranger).call() == SIGNING


def test_nobody_else_admits_or_dismisses(world: World) -> None:
    for sender in (world.center, world.h1, world.auditor, world.stranger):
        admit = world.participants.admit(world.stranger, HOSPITAL, ZERO)
        assert world.refused(admit, sender) == ("AccessManagedUnauthorized", sender.lower())
        dismiss = world.participants.dismiss(world.h1)
        assert world.refused(dismiss, sender) == ("AccessManagedUnauthorized", sender.lower())


def test_a_second_role_and_no_role_are_refused(world: World) -> None:
    for account, role in ((world.h1, CENTER), (world.h1, HOSPITAL), (world.stranger, 0)):
        admit = world.participants.admit(account, role, ZERO)
        assert world.refused(admit, world.operator) == ("AlreadyAdmitted", account.lower())


def test_dismissing_takes_the_role_and_leaves_the_keys(world: World) -> None:
    world.send(world.participants.setKeys(SIGNING, SEALING), world.h1)
    receipt = world.send(world.participants.dismiss(world.h1), world.operator)
    assert world.logs(receipt) == [("Dismissed", world.h1)]
    assert world.participants.roleOf(world.h1).call() == 0
    assert world.participants.keysAt(world.h1, world.block).call()[0] == SIGNING
    again = world.participants.dismiss(world.h1)
    assert world.refused(again, world.operator) == ("NotAParticipant", world.h1.lower())
    keys = world.participants.setKeys(SEALING, SIGNING)
    assert world.refused(keys, world.h1) == ("NotAParticipant", world.h1.lower())
    world.send(world.participants.admit(world.h1, HOSPITAL, ZERO), world.operator)


def test_keys_are_set_with_an_event_and_never_empty(world: World) -> None:
    receipt = world.send(world.participants.setKeys(SIGNING, SEALING), world.h1)
    assert world.logs(receipt) == [("KeysSet", world.h1, SIGNING, SEALING)]
    for pair in ((ZERO, SEALING), (SIGNING, ZERO)):
        assert world.refused(world.participants.setKeys(*pair), world.h1) == ("EmptyKey",)
    stranger = world.refused(world.participants.setKeys(SIGNING, SEALING), world.stranger)
    assert stranger == ("NotAParticipant", world.stranger.lower())


def test_keys_of_every_past_block_stay_readable(world: World) -> None:
    before = world.block
    expected = {before: (ZERO, ZERO, 0)}
    for step in range(1, 6):
        pair = (bytes([step]) * 32, bytes([step + 100]) * 32)
        world.send(world.participants.setKeys(*pair), world.h1)
        expected[world.block] = (*pair, world.block)
        world.mine()
        expected[world.block] = (*pair, world.block - 1)
    for block, keys in expected.items():
        assert world.participants.keysAt(world.h1, block).call() == keys
    assert world.participants.keysAt(NOBODY, world.block).call() == (ZERO, ZERO, 0)


def test_of_two_keys_set_in_one_block_the_later_holds(world: World) -> None:
    set_keys = [world.participants.setKeys(bytes([n]) * 32, SEALING) for n in (1, 2)]
    receipts = world.send_together([(call, world.h1) for call in set_keys])
    assert receipts[0]["blockNumber"] == receipts[1]["blockNumber"]
    block = world.block
    assert world.participants.keysAt(world.h1, block).call() == (b"\x02" * 32, SEALING, block)
    assert world.participants.keysAt(world.h1, block - 1).call() == (ZERO, ZERO, 0)


def test_revoked_keys_hold_no_more_and_what_they_signed_before_stays(world: World) -> None:
    world.send(world.participants.setKeys(SIGNING, SEALING), world.h1)
    held = world.block
    receipt = world.send(world.participants.revokeKeys(), world.h1)
    assert world.logs(receipt) == [("KeysRevoked", world.h1)]
    keys = [world.participants.keysAt(world.h1, block).call() for block in (held, world.block)]
    assert keys == [(SIGNING, SEALING, held), (ZERO, ZERO, 0)]
    world.send(world.participants.setKeys(SEALING, SIGNING), world.h1)
    found = world.participants.keysAt(world.h1, world.block).call()
    assert found == (SEALING, SIGNING, world.block)
    refusal = world.refused(world.participants.revokeKeys(), world.stranger)
    assert refusal == ("NotAParticipant", world.stranger.lower())


def test_a_participant_describes_itself_anew(world: World) -> None:
    receipt = world.send(world.participants.describe(SIGNING), world.h1)
    assert world.logs(receipt) == [("Described", world.h1, SIGNING)]
    assert world.participants.metadataOf(world.h1).call() == SIGNING
    refusal = world.refused(world.participants.describe(SIGNING), world.stranger)
    assert refusal == ("NotAParticipant", world.stranger.lower())


def test_under_a_timelock_the_operator_schedules_waits_and_then_admits(world: World) -> None:
    """AccessManager's execution delay: everybody sees an admission before it takes effect."""
    delay, admit = 3_600, world.participants.admit(world.stranger, HOSPITAL, ZERO)
    data, target = admit._encode_transaction_data(), world.contracts["participants"].address
    world.send(world.accessmanager.grantRole(0, world.operator, delay), world.operator)
    assert world.refused(admit, world.operator)[0] == "AccessManagerNotScheduled"
    world.send(world.accessmanager.schedule(target, data, 0), world.operator)
    assert world.refused(admit, world.operator)[0] == "AccessManagerNotReady"
    world.at(world.now + delay + 1)
    world.send(admit, world.operator)
    assert world.participants.roleOf(world.stranger).call() == HOSPITAL
    assert world.refused(admit, world.operator)[0] == "AccessManagerNotScheduled"


def test_nothing_of_the_operators_reaches_consents_rounds_or_money(world: World) -> None:
    """Participants alone answers to the AccessManager: nothing else can be paused or paid out."""
    managed = {
        name
        for name, contract in world.contracts.items()
        if any(entry.get("name") == "setAuthority" for entry in contract.abi)
    }
    assert managed == {"participants"}
