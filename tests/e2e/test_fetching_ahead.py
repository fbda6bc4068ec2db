"""A center that waits has what others sent already, and no hospital can make it take more."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from chain.round_events import Frozen
from chain.types import RoundNumber
from federated.center import finalize, open_round
from federated.center.ahead import fetch_ahead
from federated.judging import still_stands
from federated.memory import Memory, key_of
from federated.missing import confirm_missing
from federated.party import Party
from federated.published import known_state, open_state, read_result
from storage.cid import Cid, Codec
from storage.embedded import EmbeddedStore
from storage.errors import MissingBlock
from storage.manifest import read_manifest
from storage.store import links
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
training = importlib.import_module("federated.hospital.train")  # the function hides the module


class Noting(EmbeddedStore):
    """Notes which blocks are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[Cid] = []

    def get_block(self, cid: Cid) -> bytes:
        self.asked.append(cid)
        return super().get_block(cid)

    def get_block_into(self, cid: Cid, buffer: memoryview) -> memoryview:
        self.asked.append(cid)
        return super().get_block_into(cid, buffer)


def _center(world: World) -> tuple[Party, Noting]:
    store = Noting(world.folder / "store")
    return replace(world.center, store=store), store


def _frozen(center: Party, world: World) -> list[Frozen]:
    return center.chain.rounds.freezes(world.study, FIRST, to_block=center.head())


def _payload(world: World, hospital: str) -> Cid:
    sealed = kit.submission_of(world, 1, hospital).manifest
    return read_manifest(world.center.store, sealed).payload


def _leaves(world: World, payload: Cid) -> set[Cid]:
    if payload.codec is Codec.RAW:
        return {payload}
    return set(links(payload, world.center.store.get_block(payload)))


def test_each_update_is_fetched_once_when_it_is_there(granted: World) -> None:
    center, store = _center(granted)
    open_round(center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    assert fetch_ahead(center, granted.read(), FIRST) == 2
    payloads = {name: _payload(granted, name) for name in ("north", "harbor")}
    assert all(_leaves(granted, payload) <= set(store.asked) for payload in payloads.values())
    store.asked.clear()
    assert fetch_ahead(center, granted.read(), FIRST) == 0
    assert not store.asked
    kit.freeze_and_submit(granted, FIRST, ["valley"])
    assert fetch_ahead(center, granted.read(), FIRST) == 1
    assert not set(payloads.values()) & set(store.asked)


def test_what_was_added_while_others_trained_is_in_the_model_and_not_read_again(
    granted: World,
) -> None:
    center, store = _center(granted)
    open_round(center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    assert fetch_ahead(center, granted.read(), FIRST) == 2
    kit.freeze_and_submit(granted, FIRST, ["valley"])
    store.asked.clear()
    assert finalize(center, granted.study, FIRST).included == 0b111
    assert not {_payload(granted, name) for name in ("north", "harbor")} & set(store.asked)
    assert _payload(granted, "valley") in store.asked
    kit.assert_sound(granted)  # an auditor sums them anew, to the bit


def test_a_list_that_is_gone_by_the_end_is_noticed_though_its_update_was_added(
    granted: World,
) -> None:
    """Else a hospital could show its list to the center alone, and take it away from patients."""
    center, _ = _center(granted)
    open_round(center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    assert fetch_ahead(center, granted.read(), FIRST) == 3
    kit.lose(granted, kit.freeze_of(granted, FIRST, "valley").leaf_list)
    study = granted.read()
    frozen = {e.freeze.hospital: e for e in _frozen(center, granted)}[granted.index("valley")]
    event = kit.submission_of(granted, FIRST, "valley")
    begun = center.memory.take_sum(granted.study, FIRST)
    assert begun is not None
    judged, _ = begun.held[key_of(frozen, event)]
    assert not still_stands(center, study, frozen, event, judged)
    center.memory.keep_sum(granted.study, FIRST, begun)
    confirm_missing(granted.auditor, frozen)
    assert finalize(center, granted.study, FIRST).included == 0b111 & ~(
        1 << granted.index("valley")
    )


def test_a_hospital_opens_a_model_once_and_an_auditor_each_time(granted: World) -> None:
    kit.run_round(granted)
    party, store = granted.party("north"), Noting(granted.folder / "store")
    party = replace(party, store=store, memory=Memory())
    study, block = granted.read(), party.head()
    first = known_state(party, study, FIRST, block)
    manifest, _, _ = read_result(party, study, FIRST, block)
    model = read_manifest(store, manifest.model).payload
    assert model in store.asked
    store.asked.clear()
    assert known_state(party, study, FIRST, block) is first
    assert model not in store.asked
    kit.lose(granted, model)
    assert known_state(party, study, FIRST, block) is first
    with pytest.raises(MissingBlock):
        open_state(party, study, FIRST, block)


def test_an_update_larger_than_any_is_not_fetched(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    center, store = _center(granted)
    open_round(center, granted.study)
    with monkeypatch.context() as patch:
        patch.setattr(training, "encode_tensors", lambda *_: bytes(3 << 20))
        kit.freeze_and_submit(granted, FIRST, ["valley"])
    assert fetch_ahead(center, granted.read(), FIRST) == 0
    assert _payload(granted, "valley") not in store.asked


def test_more_bytes_than_the_manifest_states_are_not_fetched(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by the hospital, a manifest may still name the payload of something larger."""
    center, store = _center(granted)
    open_round(center, granted.study)
    honest = training.seal

    def lying(place: EmbeddedStore, update: bytes, **facts: object) -> object:
        large = place.add_file(_Zeros(5 << 20))
        with monkeypatch.context() as patch:
            patch.setattr(type(place), "add_file", lambda _self, stream: _drained(stream, large))
            return honest(place, update, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(training, "seal", lying)
        kit.freeze_and_submit(granted, FIRST, ["valley"])
    assert fetch_ahead(center, granted.read(), FIRST) == 0
    inside = _leaves(granted, _payload(granted, "valley"))
    assert len([cid for cid in store.asked if cid in inside]) == 1


def test_what_is_missing_is_left_to_judging(granted: World) -> None:
    center, _ = _center(granted)
    open_round(center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    kit.lose(granted, _payload(granted, "north"))
    assert fetch_ahead(center, granted.read(), FIRST) == 1


class _Zeros:
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        piece = bytes(min(size, self.left))
        self.left -= len(piece)
        return piece


def _drained(stream: object, cid: Cid) -> Cid:
    while stream.read(1 << 20):  # type: ignore[attr-defined]
        pass
    return cid
