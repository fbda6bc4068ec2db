"""What a member of the swarm, a center or a hospital may leave in the store to end a reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from federated.errors import RecordError
from federated.results import Results, read_results, write_results
from federated.round_manifest import Entry, RoundManifest, read_round_manifest, write_round_manifest
from federated.shares import _shares_topic, posted_shares, publish_shares
from storage.cid import dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.signing import Sender, SigningKey
from storage.store import put_record

STUDY = 1
WORD = bytes(32)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore.create(tmp_path / "store")


@pytest.fixture
def sender() -> Sender:
    return Sender(bytes(20), SigningKey.generate())


def manifest(*hospitals: int) -> RoundManifest:
    entries = tuple(Entry(index, WORD, 1, WORD, WORD) for index in hospitals)
    return RoundManifest(WORD, STUDY, 1, 0, WORD, WORD, WORD, WORD, entries)


def test_a_round_manifest_names_hospitals_that_can_exist(
    store: EmbeddedStore, sender: Sender
) -> None:
    sound = write_round_manifest(store, manifest(0, 255), sender)
    assert read_round_manifest(store, sound)[0].included == 1 | 1 << 255
    for index in (-1, 256, 1 << 63):
        with pytest.raises(RecordError, match="index"):
            read_round_manifest(store, write_round_manifest(store, manifest(index), sender))


def test_results_of_a_negative_hospital_or_of_no_area_are_refused(
    store: EmbeddedStore, sender: Sender
) -> None:
    sound = Results(WORD, STUDY, 1, 0, WORD, "test", False, 9, 1, 8, 2, 90, 80, 95)
    found, _ = read_results(store, dag_cbor_cid(write_results(store, sound, sender)))
    assert found == sound
    counted_twice = write_results(store, replace(sound, hospital=-1), sender)
    with pytest.raises(RecordError, match="negative"):
        read_results(store, dag_cbor_cid(counted_twice))
    for area in ({"auc": 96}, {"auc_low": 91}, {"auc_high": 101}):
        finer = write_results(store, replace(sound, **area), sender)
        with pytest.raises(RecordError, match="lies in its interval"):
            read_results(store, dag_cbor_cid(finer))


def test_announcements_that_are_no_shares_do_not_hide_the_shares(store: EmbeddedStore) -> None:
    root = publish_shares(store, STUDY, {0: 5, 1: 7})
    for rows in ([[-1, "5"]], [], [[0]], [[0, "x"]], 7, [[0, "5"], [0, "5"]]):
        record = {"format": "consilium/shares/1", "shares": rows, "study": STUDY}
        store.announce(_shares_topic(root), put_record(store, record))
    store.announce(_shares_topic(root), put_record(store, ["consilium/shares/1"]))
    store.announce(_shares_topic(root), dag_cbor_cid(WORD))  # a block that nobody has
    assert posted_shares(store, STUDY, root) == {0: 5, 1: 7}
