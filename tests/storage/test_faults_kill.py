"""kill -9 of any one daemon while a member puts, gets and pins without pause, and its return.

What failed must have said which node it was; what was acknowledged must be there, and right, at
whoever is asked. The member is `harbor`; its own daemons and another member's are killed.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from storage import Cid
from storage.cluster import ClusterStore
from storage.cluster_member import read_member
from storage.cluster_swarm import ClusterSwarm
from storage.errors import StorageError
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import LONG, eventually

pytestmark = [
    LONG,
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]
NAMES = ["harbor", "hill", "lake", "center"]
OTHER = "hill"
AROUND = 3  # how often each is done before the kill, and after the return


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSwarm]:
    with ClusterSwarm(tmp_path_factory.mktemp("kills"), NAMES) as running:
        yield running


@dataclass
class Work:
    """What harbor did so far."""

    acknowledged: list[tuple[Cid, bytes]] = field(default_factory=list)
    failed: list[StorageError] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)


Act = Callable[[ClusterStore, ClusterSwarm], tuple[Cid, bytes]]


def put(store: ClusterStore, _swarm: ClusterSwarm) -> tuple[Cid, bytes]:
    content = os.urandom(6 * CHUNK_SIZE)
    return store.add_file(io.BytesIO(content)), content


def get(store: ClusterStore, swarm: ClusterSwarm) -> tuple[Cid, bytes]:
    """Of what two others have, and harbor does not yet."""
    content = os.urandom(3 * CHUNK_SIZE)
    for name in ("lake", "center", OTHER) if swarm.nodes[OTHER].running else ("lake", "center"):
        try:
            with swarm.nodes[name].store() as there:
                cid = there.add_file(io.BytesIO(content))
        except StorageError:
            if name != OTHER:
                raise  # the one that is killed need not take it
    assert b"".join(store.cat(cid)) == content
    return cid, content


def pin(store: ClusterStore, _swarm: ClusterSwarm) -> tuple[Cid, bytes]:
    content = os.urandom(2 * CHUNK_SIZE)
    cid = store.add_file(io.BytesIO(content))
    store.pin(cid)
    return cid, content


def working(cluster: ClusterSwarm, act: Act, work: Work, enough: threading.Event) -> None:
    member = read_member(cluster.member_file("harbor"))
    with ClusterStore(member, resume_s=0.5, pin_s=300, find_s=60) as store:
        while not enough.is_set():
            try:
                work.acknowledged.append(act(store, cluster))
            except StorageError as exc:
                work.failed.append(exc)
                enough.wait(0.2)
            except BaseException as exc:
                work.broken.append(exc)
                raise


@pytest.mark.parametrize("whose", ["harbor", OTHER])
@pytest.mark.parametrize("which", ["node", "peer"])
@pytest.mark.parametrize("act", [put, get, pin], ids=lambda act: str(act.__name__))
def test_nothing_acknowledged_is_lost_by_a_kill(
    cluster: ClusterSwarm, act: Act, which: str, whose: str
) -> None:
    work, enough = Work(), threading.Event()
    url = cluster.nodes["harbor"].api_url
    worker = threading.Thread(target=working, args=(cluster, act, work, enough))
    worker.start()
    try:
        assert went_on(work)
        if which == "node":
            cluster.nodes[whose].kill()
            cluster.restart(whose)
        else:
            cluster.peers[whose].kill()
            cluster.restart_peer(whose)
        assert went_on(work)
    finally:
        enough.set()
        worker.join()
    assert not work.broken
    if (which, whose) == ("node", "harbor"):
        assert all(url in str(failure) for failure in work.failed)
    else:
        assert work.failed == []
    assert_kept(cluster, act, work)


def went_on(work: Work) -> bool:
    wanted = len(work.acknowledged) + AROUND
    return eventually(lambda: len(work.acknowledged) >= wanted or bool(work.broken), 300)


def assert_kept(cluster: ClusterSwarm, act: Act, work: Work) -> None:
    with cluster.store("harbor") as store:
        for cid, content in work.acknowledged:
            assert b"".join(store.cat(cid)) == content
    if act is not pin:
        return
    with cluster.store("lake", find_s=60) as elsewhere:
        assert eventually(lambda: {c for c, _ in work.acknowledged} <= set(elsewhere.pins()), 300)
        for cid, content in work.acknowledged:
            assert b"".join(elsewhere.cat(cid)) == content
