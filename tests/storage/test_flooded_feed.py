"""One member of a real swarm floods a topic, again and again: nobody's announcements are hidden."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from storage import Cid, Codec, dag_cbor_cid, raw_cid
from storage.dagpb import _bytes_field, _field
from storage.errors import Unanswered
from storage.feed_reading import MAX_LISTED, MAX_SHARE
from storage.kubo import KuboStore
from storage.private_swarm import PrivateSwarm
from tests.storage.kit import SLOW_S, eventually, once_all_answer

pytestmark = [pytest.mark.engine("kubo"), pytest.mark.processes, pytest.mark.timeout(1800)]
_FOLDER = b"\x08\x01"  # UnixFS


def folder(store: KuboStore, links: Mapping[str, Cid]) -> Cid:
    """A UnixFS folder in one block, however many names it has."""
    found = b"".join(
        _bytes_field(2, _bytes_field(1, bytes(cid)) + _bytes_field(2, name.encode()) + _field(3, 0))
        for name, cid in sorted(links.items())
    )
    return store.put_block(Codec.DAG_PB, found + _bytes_field(1, _FOLDER))


@contextmanager
def flooding(swarm: PrivateSwarm, name: str) -> Iterator[KuboStore]:
    """A member whose feed is what it likes, until it tells the one it really has again."""
    with swarm.store(name) as store:
        try:
            yield store
        finally:
            store.publish_feed()


def flood(store: KuboStore, topic: bytes, junk: Iterable[Cid]) -> str:
    """Tell a feed that lists nothing but junk; its root."""
    empty = folder(store, {})
    listed = folder(store, {str(cid): empty for cid in junk})
    root = str(folder(store, {topic.hex(): listed}))
    store.rpc.call("name/publish", {"arg": f"/ipfs/{root}", "resolve": "false", "ttl": "0s"})
    return root


def junk(count: int) -> list[Cid]:
    """Names that come before those of records."""
    return [raw_cid(hashlib.sha256(os.urandom(32)).digest()) for _ in range(count)]


def test_junk_that_is_listed_and_exchanged_for_other_junk_hides_nothing(
    swarm: PrivateSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.feeds.ASK_S", 60.0)
    topic, word = os.urandom(32), dag_cbor_cid(os.urandom(32))
    flooder = swarm.nodes["hill"].peer_id
    with (
        swarm.store("harbor") as harbor,
        swarm.store("center", find_s=10) as center,
        flooding(swarm, "hill") as hill,
    ):
        for _ in range(2):
            root = flood(hill, topic, junk(MAX_LISTED))
            assert eventually(lambda root=root: harbor.heard(flooder) == root)
            assert len(harbor.announced(topic)) >= MAX_LISTED
        harbor.announce(topic, word)
        told = harbor.feed_root()
        assert eventually(lambda: center.heard(swarm.nodes["harbor"].peer_id) == told)
        once_all_answer(center, lambda: center.hear(topic))
        listed = center.announced(topic)
        assert word in listed
        assert len(listed) == MAX_LISTED + MAX_SHARE + 1  # hill's own, what harbor kept, the word


def test_who_lists_too_much_is_named_before_anybody_says_that_there_is_nothing(
    swarm: PrivateSwarm,
) -> None:
    topic, flooder = os.urandom(32), swarm.nodes["hill"].peer_id
    with swarm.store("center", find_s=SLOW_S) as center, flooding(swarm, "hill") as hill:
        root = flood(hill, topic, junk(MAX_LISTED + 1))
        assert eventually(lambda: center.heard(flooder) == root)
        with pytest.raises(Unanswered, match=f"{flooder} announced more than"):
            center.hear(topic)
