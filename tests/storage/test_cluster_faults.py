"""Daemons that die, hang or rot: nothing acknowledged is lost, nothing wrong is returned, and what
cannot be done ends in an error that names the node and the CID. All against the real daemons."""

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage import Cid, Codec
from storage.cluster import ClusterStore
from storage.cluster_member import Member, read_member
from storage.cluster_rpc import PINNED, Copy
from storage.cluster_swarm import ClusterSwarm
from storage.errors import TooFewCopies, Unreachable
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import LONG, SLOW_S, eventually

pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]
NAMES = ["harbor", "hill", "lake", "center"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSwarm]:
    """Four members: one more than have copies."""
    with ClusterSwarm(tmp_path_factory.mktemp("faults"), NAMES) as running:
        yield running


@pytest.fixture(autouse=True)
def whole(cluster: ClusterSwarm) -> Iterator[None]:
    """Whatever a test ended runs again afterwards."""
    yield
    if dead := [name for name in NAMES if not cluster.nodes[name].running]:
        cluster.restart(*dead, timeout_s=SLOW_S)
    for name, peer in cluster.peers.items():
        if not peer.running:
            cluster.restart_peer(name, SLOW_S)
    names = {peer.peer_id: name for name, peer in cluster.peers.items()}
    for peer in cluster.peers.values():
        peer.await_members(names, SLOW_S)


class Once:
    """Does something to another holder than harbor while a pin is under way: to the first told."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self._act = act
        self.done = False

    def __call__(self, _cid: Cid, copies: Sequence[Copy]) -> None:
        for copy in copies:
            if copy.peer != "harbor" and not self.done:
                self.done = True
                self._act(copy.peer)


def holders(store: ClusterStore, cid: Cid) -> set[str]:
    return {copy.peer for copy in store.cluster.copies(str(cid)) if copy.state == PINNED}


def file_of(store: ClusterStore, size: int = 4 * CHUNK_SIZE) -> tuple[Cid, bytes]:
    content = os.urandom(size)
    return store.add_file(io.BytesIO(content)), content


@pytest.mark.parametrize("which", ["node", "peer"])
def test_a_pin_outlives_the_death_of_a_holder_while_it_is_made(
    cluster: ClusterSwarm, which: str
) -> None:
    killed: list[str] = []

    def kill(name: str) -> None:
        killed.append(name)
        daemon: Any = cluster.nodes[name] if which == "node" else cluster.peers[name]
        daemon.kill()

    with cluster.store("harbor", find_s=5, told=Once(kill), pin_s=SLOW_S) as store:
        cid, content = file_of(store)
        store.pin(cid)
        assert killed
        # Where it had its copy before it died, the one of two was the third's that is still coming.
        assert eventually(lambda: len(holders(store, cid) - set(killed)) >= 2)
        alive = holders(store, cid) - set(killed)
        assert cid in store.pins()
    # The word is kept where the one who gave it is gone, too.
    reader = min(alive)
    with cluster.nodes[reader].store(find_s=1) as there:
        assert b"".join(there.cat(cid)) == content
    if which == "node":
        cluster.restart(killed[0], timeout_s=SLOW_S)
    else:
        cluster.restart_peer(killed[0], SLOW_S)
    with cluster.store("harbor") as store:
        assert cid in store.pins()
        assert b"".join(store.cat(cid)) == content


@LONG
def test_copies_of_lost_members_are_made_elsewhere(cluster: ClusterSwarm) -> None:
    with cluster.store("harbor") as store:
        cid, content = file_of(store)
        store.pin(cid)
        told = {copy.peer for copy in store.cluster.copies(str(cid))}
        lost = sorted(told - {"harbor"})[:2]
        spare = set(NAMES) - told
        for name in lost:
            cluster.nodes[name].kill()
            cluster.peers[name].kill()
        # One copy is left, under the least of two: the spare member makes another.
        assert eventually(lambda: len(holders(store, cid) - set(lost)) >= 2)
        assert spare & holders(store, cid)
    for name in spare:
        with cluster.nodes[name].store(find_s=1) as there:
            assert b"".join(there.cat(cid)) == content


def test_an_upload_that_broke_off_goes_on_with_the_missing_blocks(cluster: ClusterSwarm) -> None:
    blocks, node = 96, cluster.nodes["harbor"]
    restarts: list[threading.Thread] = []

    class Killing(io.BytesIO):
        """Its reader's node dies when most of it is read, so sent but for a few chunks."""

        def read(self, size: int | None = -1, /) -> bytes:
            if not restarts and self.tell() > blocks * CHUNK_SIZE * 3 // 4:
                node.kill()
                restarts.append(threading.Thread(target=cluster.restart, args=["harbor"]))
                restarts[0].start()
            return super().read(size)

    class Counting(ClusterStore):
        """What is sent block by block."""

        sent = 0

        def put_block(self, codec: Codec, block: bytes) -> Cid:
            self.sent += 1
            return super().put_block(codec, block)

    content = os.urandom(blocks * CHUNK_SIZE)
    with Counting(member_of(cluster, "harbor"), pin_s=SLOW_S, resume_s=SLOW_S) as store:
        cid = store.add_file(Killing(content))
        restarts[0].join()
        assert 0 < store.sent < blocks
        assert b"".join(store.cat(cid)) == content
        store.pin(cid)
        assert len(holders(store, cid)) >= 2


def test_an_upload_to_a_node_that_stays_away_ends_and_names_it(cluster: ClusterSwarm) -> None:
    node = cluster.nodes["hill"]
    with ClusterStore(member_of(cluster, "hill"), resume_s=1, pin_s=30) as store:
        url = node.api_url
        node.kill()
        with pytest.raises(Unreachable, match=url):
            store.add_file(io.BytesIO(os.urandom(99)))
        with pytest.raises(Unreachable, match=url):
            store.put_block(Codec.RAW, os.urandom(99))


def test_a_pin_whose_own_peer_dies_goes_on_when_it_is_back(cluster: ClusterSwarm) -> None:
    back: list[threading.Thread] = []

    def crash(_other: str) -> None:
        cluster.peers["harbor"].kill()
        back.append(threading.Thread(target=cluster.restart_peer, args=["harbor"]))
        back[0].start()

    with cluster.store("harbor", copies=3, told=Once(crash), pin_s=SLOW_S) as store:
        cid, _content = file_of(store)
        store.pin(cid)
        back[0].join()
        assert eventually(lambda: len(holders(store, cid)) == 3)


def test_a_pin_whose_own_peer_stays_away_ends_and_names_cid_and_peer(
    cluster: ClusterSwarm,
) -> None:
    with cluster.store("lake", pin_s=3) as store:
        cid, content = file_of(store)
        cluster.peers["lake"].kill()
        with pytest.raises(TooFewCopies, match=f"{cid} has 0 of 2 .*{store.cluster.url}"):
            store.pin(cid)
        with pytest.raises(Unreachable, match=store.cluster.url):
            store.pins()
        assert b"".join(store.cat(cid)) == content


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@LONG
def test_a_frozen_holder_costs_the_deadline_and_no_more(cluster: ClusterSwarm) -> None:
    with cluster.store("harbor", copies=4, pin_s=6) as store:
        cid, content = file_of(store)
        with frozen(cluster.nodes["hill"].pid), frozen(cluster.peers["lake"].pid):
            with pytest.raises(TooFewCopies, match=f"{cid} has [0-3] of 4 copies after 6 s"):
                store.pin(cid)
            assert b"".join(store.cat(cid)) == content
    with cluster.store("harbor") as store:
        store.pin(cid)
        assert cid in store.pins()


def member_of(cluster: ClusterSwarm, name: str) -> Member:
    return read_member(cluster.member_file(name))


def test_what_was_acknowledged_outlives_the_death_of_every_daemon(tmp_path: Path) -> None:
    names = ["harbor", "center"]
    with ClusterSwarm(tmp_path, names) as swarm, swarm.store("harbor") as store:
        cid, content = file_of(store)
        store.pin(cid)
        for daemon in (*swarm.peers.values(), *swarm.nodes.values()):
            daemon.kill()
    with ClusterSwarm(tmp_path, names) as again:
        for name in names:
            with again.store(name, find_s=1) as store:
                # A peer that has just started looks first for what it has.
                assert eventually(lambda s=store: s.pins() == [cid])
                assert b"".join(store.cat(cid)) == content
