"""Sealed blocks that a store lost before they were submitted, and keys that were exchanged."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from chain.types import RoundNumber
from federated.center import finalize, open_round
from federated.hospital import freeze, publish_results, report, submit, train
from federated.party import Party, signers_between
from federated.reported import results_of
from federated.results import write_results
from records.splits import Part
from storage.errors import MissingBlock
from storage.manifest import read_manifest
from storage.signing import Sender, SigningKey
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)


def _lose(world: World, manifest: bytes) -> None:
    """The store forgets an update's payload."""
    payload = read_manifest(world.center.store, manifest).payload
    kit.path_of(world, payload.digest).unlink()


def test_an_update_that_the_store_lost_is_sealed_anew_while_nothing_is_submitted(
    granted: World,
) -> None:
    world, node = granted, granted.node("north")
    open_round(world.center, world.study)
    for name in kit.HOSPITALS:
        freeze(world.node(name), world.study, FIRST)
    first = train(node, world.study, FIRST)
    _lose(world, first.sealed.manifest_digest)
    second = train(node, world.study, FIRST)
    assert second.sealed.manifest_digest != first.sealed.manifest_digest
    assert train(node, world.study, FIRST).sealed == second.sealed
    submit(node, world.study, FIRST)
    assert kit.submission_of(world, 1, "north").manifest == second.sealed.manifest_digest
    for name in ("harbor", "valley"):
        train(world.node(name), world.study, FIRST)
        submit(world.node(name), world.study, FIRST)
    finalize(world.center, world.study, FIRST)
    kit.assert_sound(world)


def test_an_update_that_is_submitted_is_never_sealed_anew(granted: World) -> None:
    world, node = granted, granted.node("north")
    open_round(world.center, world.study)
    freeze(node, world.study, FIRST)
    first = train(node, world.study, FIRST)
    submit(node, world.study, FIRST)
    _lose(world, first.sealed.manifest_digest)
    with pytest.raises(MissingBlock):
        train(node, world.study, FIRST)


def _exchange(world: World, hospital: str) -> Party:
    """A hospital publishes another signing key."""
    party = world.party(hospital)
    sender = Sender(party.sender.address, SigningKey(os.urandom(32)))
    after = replace(party, sender=sender)
    kit.register(after)
    return after


def test_results_stand_after_their_hospital_exchanged_its_key(finished: World) -> None:
    world, last = finished, RoundNumber(2)
    old = publish_results(world.node("north"), world.study, last, Part.VALIDATION)
    block = world.center.head()
    assert results_of(world.center, world.read(), last, block) == [old]
    after = _exchange(world, "north")
    study, block = world.read(), world.center.head()
    assert results_of(world.center, study, last, block) == [old]

    newer = replace(old, suppressed=False, tp=old.tp + 1)
    write_results(world.center.store, newer, after.sender)
    assert results_of(world.center, study, last, block) == [newer]
    write_results(world.center.store, replace(old, tp=99), world.party("north").sender)
    assert results_of(world.center, study, last, block) == [newer]  # a key that was given up


def test_a_key_of_before_the_round_ended_signs_no_results(finished: World) -> None:
    world, last = finished, RoundNumber(2)
    genuine = publish_results(world.node("north"), world.study, last, Part.VALIDATION)
    stranger = Sender(world.party("north").sender.address, SigningKey(os.urandom(32)))
    write_results(world.center.store, replace(genuine, split="test"), stranger)
    found = results_of(world.center, world.read(), last, world.center.head())
    assert [item.split for item in found] == ["validation"]
    first = kit.round_at(world, 1).open_block
    after = _exchange(world, "north")
    head = world.center.head()
    account = world.keys["north"].address
    assert len(signers_between(world.center.chain, account, first, head)) == 2
    newest = signers_between(world.center.chain, account, head, head)
    assert [item.public_key for item in newest] == [after.sender.signing_key.public]


def test_a_report_counts_whichever_of_the_rounds_keys_signed_it(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    _exchange(world, "north")
    finalize(world.center, world.study, FIRST)
    kit.assert_sound(world)
    assert report(world.node("north"), world.study, FIRST) is not None
