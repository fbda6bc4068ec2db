"""Sixteen threads that put, get and pin at one member, in the long form while daemons die."""

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from storage import Cid
from storage.cluster import ClusterStore
from storage.cluster_swarm import ClusterSwarm
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import LONG

pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]
THREADS = 16
NAMES = ["harbor", "hill", "lake", "center"]


def put_and_get(number: int, store: ClusterStore, reader: ClusterStore) -> tuple[Cid, bytes]:
    """One file of one to three blocks put at a member and read at another; each tenth pinned."""
    content = os.urandom(2 * CHUNK_SIZE + 9 if number % 10 == 1 else 50 + number)
    cid = store.add_file(io.BytesIO(content))
    if number % 10 == 0:
        store.pin(cid)
    assert b"".join(reader.cat(cid)) == content
    return cid, content


def done_by_threads(
    count: int, store: ClusterStore, reader: ClusterStore
) -> list[tuple[Cid, bytes]]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda number: put_and_get(number, store, reader), range(count)))


def assert_all_there(done: list[tuple[Cid, bytes]], store: ClusterStore) -> None:
    assert len({cid for cid, _ in done}) == len(done)
    assert {cid for cid, _ in done[::10]} <= set(store.pins())
    for cid, content in done[::4]:
        assert b"".join(store.cat(cid)) == content


def test_a_hundred_puts_and_gets_of_sixteen_threads_are_all_right(cluster: ClusterSwarm) -> None:
    with cluster.store("harbor", find_s=120) as store, cluster.store("hill", find_s=120) as reader:
        assert_all_there(done_by_threads(100, store, reader), store)


@contextmanager
def dying(swarm: ClusterSwarm, names: list[str]) -> Iterator[list[str]]:
    """Meanwhile daemons of these members are killed and started again, one after the other."""
    enough, killed = threading.Event(), list[str]()

    def kill() -> None:
        while not enough.wait(1):
            name = names[len(killed) // 2 % len(names)]
            if len(killed) % 2:
                swarm.peers[name].kill()
                swarm.restart_peer(name, 300)
            else:
                swarm.nodes[name].kill()
                swarm.restart(name, timeout_s=300)
            killed.append(name)

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        try:
            yield killed
        finally:
            enough.set()
            killing.result()


@LONG
def test_a_thousand_puts_and_gets_while_daemons_die_are_all_right(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        ClusterSwarm(tmp_path_factory.mktemp("load"), NAMES) as swarm,
        swarm.store("harbor", find_s=300, pin_s=600) as store,
        swarm.store("center", find_s=300) as reader,
    ):
        with dying(swarm, ["hill", "lake"]) as killed:
            done = done_by_threads(1000, store, reader)
        assert len(killed) >= 2
        assert_all_there(done, store)
