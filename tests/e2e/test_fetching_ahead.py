"""A center that waits has what others sent already, and no hospital can make it take more."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from chain.types import RoundNumber
from federated.center import open_round
from federated.center.ahead import fetch_ahead
from federated.party import Party
from storage.cid import Cid, Codec
from storage.embedded import EmbeddedStore
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


def _center(world: World) -> tuple[Party, Noting]:
    store = Noting(world.folder / "store")
    return replace(world.center, store=store), store


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
