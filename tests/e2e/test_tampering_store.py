"""Bytes changed on the disks behind the stores: the audit names round, hospital and check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from federated.auditor import Level
from storage.cid import Cid
from storage.manifest import read_manifest
from storage.store import get_record
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import ON_BOTH

pytestmark = [pytest.mark.engine("anvil"), ON_BOTH]

Target = Callable[[World], Cid | bytes]


def _payload(world: World) -> Cid:
    manifest = kit.submission_of(world, 2, "harbor").manifest
    return read_manifest(world.auditor.store, manifest).payload


def _update_manifest(world: World) -> bytes:
    return kit.submission_of(world, 2, "harbor").manifest


def _envelope(world: World) -> Cid:
    """One of the two that open for the auditor, the hospital's and the center's; the other went."""
    manifest = kit.submission_of(world, 2, "harbor").manifest
    one, other = world.auditor.store.announced(manifest)
    kit.flip(world, other)
    return one


def _leaf_list(world: World) -> bytes:
    return kit.freeze_of(world, 1, "valley").leaf_list


def _leaves(world: World) -> Cid:
    cid = get_record(world.auditor.store, _leaf_list(world))["leaves"]
    assert isinstance(cid, Cid)
    return cid


def _round_manifest(world: World) -> bytes:
    return kit.round_at(world, 2).manifest


def _model(world: World) -> Cid:
    store = world.auditor.store
    record = get_record(store, _round_manifest(world))
    return read_manifest(store, record["body"]["model"]).payload


BOTH = (Level.KEYLESS, Level.KEYED)
CASES: list[tuple[str, Target, str, int, str | None, tuple[Level, ...]]] = [
    ("update's bytes", _payload, "update-bytes", 2, "harbor", BOTH),
    ("update's manifest", _update_manifest, "update-manifest", 2, "harbor", BOTH),
    ("update's envelope", _envelope, "exclusion", 2, "harbor", (Level.KEYED,)),
    ("record of the list of leaves", _leaf_list, "cohort", 1, "valley", BOTH),
    ("list of leaves", _leaves, "cohort", 1, "valley", BOTH),
    ("round manifest", _round_manifest, "round-manifest", 2, None, BOTH),
    ("finalized model", _model, "model-bytes", 2, None, BOTH),
]


@pytest.mark.parametrize(
    ("target", "check", "number", "hospital", "levels"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_bit_flipped_on_the_disk_is_found(
    finished: World,
    target: Target,
    check: str,
    number: int,
    hospital: str | None,
    levels: tuple[Level, ...],
) -> None:
    kit.assert_sound(finished)
    kit.flip(finished, target(finished))
    for level in Level.KEYLESS, Level.KEYED:
        found = kit.found_at(finished, level)
        assert ((check, number, hospital) in found) == (level in levels)


def test_blocks_that_are_gone_are_found(finished: World) -> None:
    kit.assert_sound(finished)
    gone = [_payload(finished), _model(finished), _leaf_list(finished)]
    for block in gone:
        kit.lose(finished, block)
    found = kit.found_at(finished, Level.KEYLESS)
    assert ("update-bytes", 2, "harbor") in found
    assert ("model-bytes", 2, None) in found
    assert ("leaf-list", 1, "valley") in found


def test_bytes_put_back_make_the_study_sound_again(finished: World) -> None:
    put_back = kit.flip(finished, _payload(finished))
    assert kit.found_at(finished, Level.KEYLESS)
    put_back()
    kit.assert_sound(finished)
