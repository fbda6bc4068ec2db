from __future__ import annotations

from pathlib import Path

import pytest

from federated.shares import posted_shares, publish_shares, shares_tree
from storage.cid import Codec
from storage.embedded import EmbeddedStore
from storage.store import put_record

SHARES = {0: 3 * 10**20, 1: 0, 2: 10**20}  # beyond 64 bits, as token amounts are


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore.create(tmp_path / "store")


def test_published_shares_are_found_by_their_root(store: EmbeddedStore) -> None:
    root = publish_shares(store, 1, SHARES)
    assert root == shares_tree(1, SHARES).root
    assert posted_shares(store, 1, root) == SHARES


def test_shares_that_nobody_published_are_not_there(store: EmbeddedStore) -> None:
    assert posted_shares(store, 1, shares_tree(1, SHARES).root) is None


def test_another_study_has_another_root(store: EmbeddedStore) -> None:
    root = publish_shares(store, 1, SHARES)
    assert publish_shares(store, 2, SHARES) != root
    assert posted_shares(store, 2, root) is None


def test_what_others_announce_under_a_root_is_passed_over(store: EmbeddedStore) -> None:
    root = publish_shares(store, 1, SHARES)
    (topic,) = [bytes.fromhex(path.name) for path in (store.path / "topics").iterdir()]
    (own,) = store.announced(topic)
    hostile: list[object] = [
        {"format": "consilium/shares/1", "shares": [[0, "1"], [1, "2"]], "study": 1},
        {"format": "consilium/shares/1", "shares": [], "study": 1},
        {"format": "consilium/shares/1", "shares": [[0, "x"]], "study": 1},
        {"format": "consilium/shares/1", "shares": [[0, "1"], [0, "-1"]], "study": 1},
        {"format": "consilium/shares/1", "shares": 7, "study": 1},
        {"format": "consilium/shares/1"},
        {"format": "something else"},
        ["no", "map"],
        "text",
        7,
        None,
    ]
    for value in hostile:
        store.announce(topic, put_record(store, value))
    store.announce(topic, store.put_block(Codec.RAW, b"not cbor"))
    assert posted_shares(store, 1, root) == SHARES
    (store.path / "topics" / topic.hex() / str(own)).unlink()
    assert posted_shares(store, 1, root) is None
