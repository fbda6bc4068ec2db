"""Erasing and collecting in a real cluster where a copy is lacking, or an order for one."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from storage import Cid, Codec, Sealed
from storage.cluster import ClusterStore
from storage.cluster_swarm import ClusterSwarm
from storage.erasure import Answer, find_tombstone
from storage.garbage import find_garbage, remove
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import LONG, SLOW_S, eventually
from tests.storage.test_erasure import SENDER, erased, sealed_in

pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]
NAMES = ["harbor", "hill"]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSwarm]:
    """Two members: without one of them nothing has the copies that it must have."""
    with ClusterSwarm(tmp_path_factory.mktemp("erasing"), NAMES) as running:
        yield running


@contextmanager
def without_hill(swarm: ClusterSwarm) -> Iterator[None]:
    swarm.peers["hill"].kill()
    swarm.nodes["hill"].kill()
    try:
        yield
    finally:
        swarm.restart("hill", timeout_s=SLOW_S)
        swarm.restart_peer("hill", SLOW_S)
        names = {peer.peer_id: name for name, peer in swarm.peers.items()}
        for peer in swarm.peers.values():
            peer.await_members(names, SLOW_S)


def pinned_at_the_node_alone(swarm: ClusterSwarm) -> Sealed:
    """As by who was killed between its own pin and the order for copies."""
    with swarm.nodes["harbor"].store() as node:
        return sealed_in(node)


def ordered_from(store: ClusterStore, cid: Cid, *names: str, swarm: ClusterSwarm) -> None:
    """An order for these members' copies, carried out; others have none."""
    asked = ",".join(swarm.peers[name].peer_id for name in names)
    number = str(len(names))
    order = {"replication-min": number, "replication-max": number, "user-allocations": asked}
    store.cluster._call("POST", f"/pins/{cid}", order)
    told = set(names)
    assert eventually(
        lambda: (
            {copy.peer for copy in store.cluster.copies(str(cid)) if copy.state == "pinned"} == told
        )
    )


def erased_without_hill(swarm: ClusterSwarm) -> Cid:
    """The envelope of an artefact that both had pinned."""
    with swarm.store("harbor", find_s=3) as harbor:
        sealed = sealed_in(harbor)
        with without_hill(swarm):
            assert eventually(lambda: sealed.envelope_cid not in harbor.pins())
            harbor.pin_s = 1  # nobody is there to hold another copy of the tombstone
            stone = erased({"harbor": harbor}, sealed.manifest_digest)
            assert stone.answers == {"harbor": Answer.ERASED}
            assert find_tombstone(harbor, sealed.manifest_digest, SENDER.signer) == stone
            assert str(sealed.envelope_cid) not in harbor.cluster.pinset()
            assert not any(harbor.has(cid) for cid in stone.blocks)
    return sealed.envelope_cid


def test_what_lost_its_second_copy_is_erased_and_its_tombstone_told(swarm: ClusterSwarm) -> None:
    erased_without_hill(swarm)


@LONG
def test_a_member_that_was_away_lets_go_of_what_was_erased(swarm: ClusterSwarm) -> None:
    """Two minutes or so after it is back: the cluster tells again what was said meanwhile."""
    envelope = erased_without_hill(swarm)
    with swarm.nodes["hill"].store() as hill:
        assert eventually(lambda: envelope not in hill.pins())


def test_what_was_never_ordered_is_erased(swarm: ClusterSwarm) -> None:
    sealed = pinned_at_the_node_alone(swarm)
    with swarm.store("harbor", find_s=3) as harbor:
        assert sealed.envelope_cid not in harbor.pins()
        stone = erased({"harbor": harbor}, sealed.manifest_digest)
        assert stone.answers == {"harbor": Answer.ERASED}
        assert str(sealed.envelope_cid) not in harbor.control.pins()
        assert not any(harbor.has(cid) for cid in stone.blocks)


def test_what_has_too_few_copies_or_no_order_is_given_up(swarm: ClusterSwarm) -> None:
    alone = pinned_at_the_node_alone(swarm).envelope_cid
    with swarm.store("harbor", find_s=3) as harbor:
        short = harbor.put_block(Codec.RAW, os.urandom(40))
        ordered_from(harbor, short, "harbor", swarm=swarm)
        kept = harbor.put_pinned(Codec.RAW, os.urandom(40))
        assert not {short, alone} & set(harbor.pins())
        found = find_garbage(harbor, [short, alone, Cid.of(Codec.RAW, b"never pinned")])
        assert set(found.roots) == {short, alone}
        assert {short, alone} < set(found.blocks)
        assert remove(harbor, found) == []
        assert not any(harbor.has(cid) for cid in found.blocks)
        assert not {str(short), str(alone)} & {*harbor.cluster.pinset(), *harbor.control.pins()}
        assert kept in harbor.pins()


def test_what_only_another_member_is_to_keep_stops_no_collecting(swarm: ClusterSwarm) -> None:
    """With more members than copies that is so of most roots."""
    with swarm.store("harbor", find_s=3, copies=1) as harbor, swarm.store("hill") as hill:
        theirs = hill.add_file(io.BytesIO(os.urandom(2 * CHUNK_SIZE)))
        ordered_from(hill, theirs, "hill", swarm=swarm)
        assert eventually(lambda: theirs in harbor.pins())
        mine = harbor.put_pinned(Codec.RAW, os.urandom(40))
        found = find_garbage(harbor, [mine])
        assert (found.roots, found.blocks) == ((mine,), (mine,))
        assert not harbor.has(theirs)  # nor fetched for that
