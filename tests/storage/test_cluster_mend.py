"""Which copies are ordered anew: counted by hand, then made by the real daemons."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Cid, Codec
from storage.cluster import ClusterStore
from storage.cluster_mend import held, to_order
from storage.cluster_rpc import Copy
from storage.cluster_swarm import ClusterSwarm
from storage.swarm_care import care_once, look_after
from storage.swarm_status import member_status
from tests.storage.kit import LONG, SLOW_S, eventually

NAMES = ["harbor", "hill", "lake", "center"]


def copies(**states: str) -> list[Copy]:
    return [Copy(peer, state, peer_id=peer) for peer, state in states.items()]


@pytest.mark.parametrize(
    ("asked", "living", "ordered"),
    [
        (copies(a="pinned", b="pinned", c="pinned"), "abcd", 0),
        # Silent: the cluster counts a and b, so an order for three asks one more.
        (copies(a="pinned", b="pinned", c="cluster_error"), "abd", 3),
        # It lives and cannot hold: the cluster counts it, so the order is for four.
        (copies(a="pinned", b="pinned", c="pin_error"), "abcd", 4),
        (copies(a="pinned", b="pin_error", c="pin_error"), "abcde", 5),
        (copies(a="pinned", b="pin_error", c="pin_error"), "abcd", 4),  # one other is all there is
        (copies(a="pinned", b="pinning", c="pin_queued"), "abcd", 0),  # on their way
        (copies(a="pinned", b="pinning", c="pinned"), "acd", 3),  # was, when it died
        (copies(a="pinned", b="pinned", c="pin_error"), "abc", 0),  # nobody else is there
        (copies(a="pinned"), "ab", 2),
        (copies(a="pinned"), "a", 0),
        (copies(a="pinned"), "", 0),
    ],
)
def test_who_cannot_hold_a_copy_is_counted_out(
    asked: list[Copy], living: str, ordered: int
) -> None:
    assert to_order(asked, set(living), 3) == ordered


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSwarm]:
    """Four members: one more than have copies."""
    with ClusterSwarm(tmp_path_factory.mktemp("mend"), NAMES) as running:
        yield running


@pytest.fixture
def whole(cluster: ClusterSwarm) -> Iterator[None]:
    """Whatever a test ended runs again afterwards."""
    yield
    care_once(cluster, print)
    names = {peer.peer_id: name for name, peer in cluster.peers.items()}
    for peer in cluster.peers.values():
        peer.await_members(names, SLOW_S)


def pinned(store: ClusterStore) -> tuple[Cid, set[str]]:
    """A new root with three copies, and who has them."""
    cid = store.put_block(Codec.RAW, os.urandom(40))
    store.pin(cid)
    return cid, holders(store, cid)


def holders(store: ClusterStore, cid: Cid) -> set[str]:
    return {copy.peer for copy in store.cluster.copies(str(cid)) if copy.state == "pinned"}


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.engine("kubo", "cluster")
@pytest.mark.processes
@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("lost", ["node", "both"])
def test_the_third_copy_is_made_elsewhere_when_its_holder_is_lost(
    cluster: ClusterSwarm, lost: str
) -> None:
    with cluster.store("harbor", copies=3, find_s=5) as store:
        cid, before = pinned(store)
        gone = min(before - {"harbor"})
        (spare,) = set(NAMES) - before
        cluster.nodes[gone].kill()
        if lost == "both":
            cluster.peers[gone].kill()

        def mended() -> bool:
            store.mend()
            return holders(store, cid) - {gone} == set(NAMES) - {gone}

        assert eventually(mended)
        assert str(store.mend()) == f"0 of {len(store.pins())} roots lack copies; ordered for 0"
        with cluster.nodes[spare].store(find_s=1) as there:
            assert there.has(cid)
            assert cid in there.pins()


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.engine("kubo", "cluster")
@pytest.mark.processes
@pytest.mark.usefixtures("whole")
def test_a_wait_for_three_copies_asks_another_where_a_holders_node_is_dead(
    cluster: ClusterSwarm,
) -> None:
    """The peer lives, so the cluster asks it: nobody but who waits sees that it cannot."""
    cluster.nodes["lake"].kill()
    with cluster.store("harbor", copies=3, find_s=5, pin_s=SLOW_S) as store:
        for _ in range(3):  # one of them has it among its three, whatever the order
            _, found = pinned(store)
            assert found == {"harbor", "hill", "center"}


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.engine("kubo", "cluster")
@pytest.mark.processes
def test_of_three_members_the_loss_of_one_is_shown_and_mends_itself(tmp_path: Path) -> None:
    """There is nobody to copy to: two copies hold, and the third comes with the member."""
    three = NAMES[:3]
    said: list[str] = []
    with ClusterSwarm(tmp_path, three) as swarm, swarm.store("harbor", copies=3) as store:
        cid, _ = pinned(store)
        swarm.nodes["hill"].kill()
        swarm.peers["hill"].kill()
        assert eventually(lambda: holders(store, cid) == {"harbor", "lake"})
        store.copies = 2
        assert store.pins() == [cid]  # what was acknowledged with two still is
        assert re.match("1 of 1 roots lack copies; ordered for 0", str(store.mend()))
        status = member_status(tmp_path / "harbor")
        assert status.roots == {2: 1}
        swarm.nodes["lake"].kill()
        assert eventually(lambda: member_status(tmp_path / "harbor").roots == {1: 1})
        (wrong,) = member_status(tmp_path / "harbor").wrong
        assert "1 roots have fewer than 2 copies" in wrong
        stopping = threading.Event()
        caring = threading.Thread(target=look_after, args=(swarm, stopping, said.append, 1.0))
        caring.start()
        try:
            assert eventually(lambda: member_status(tmp_path / "harbor").roots == {3: 1})
        finally:
            stopping.set()
            caring.join()
    assert sum("has ended" in line for line in said) == 3
    assert held(copies(a="pinned", b="unpinned")) == 1
