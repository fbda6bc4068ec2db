"""Members on machines of their own: a network that parts, and a hospital that lets nobody in."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from socket import inet_ntoa

import pytest

from storage import Cid
from storage.cluster import ClusterStore
from storage.cluster_mend import held
from storage.cluster_rpc import PINNED
from storage.errors import MissingBlock, TooFewCopies, Unreachable
from tests.storage.kit import LONG, eventually
from tests.storage.machines import Machines, machines
from tests.storage.networks import Network

pytestmark = [
    LONG,
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]
NAMES = ["center", "north", "harbor"]
SILENT_S = 30  # longer than a silent member counts as living


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("machines"), NAMES) as running:
        running.await_connected(NAMES)
        yield running


def added(three: Machines, name: str) -> tuple[Cid, bytes]:
    content = os.urandom(3 << 20)
    with three.store(name) as store:
        return store.add_file(io.BytesIO(content)), content


def pinned(three: Machines, name: str) -> tuple[Cid, bytes]:
    cid, content = added(three, name)
    with three.store(name) as store:
        store.pin(cid)
    return cid, content


def listed(store: ClusterStore) -> list[Cid]:
    """What it says is pinned: nothing, while it waits in vain for who is cut off."""
    try:
        return store.pins()
    except Unreachable:
        return []


@pytest.mark.parametrize("silent_s", [0, SILENT_S], ids=["just now", "for long"])
def test_who_is_cut_off_is_told_so_and_nothing_acknowledged_is_lost(
    three: Machines, silent_s: float
) -> None:
    kept = [pinned(three, "north")]
    with three.network.without("north"):
        time.sleep(silent_s)  # what is cut off is found out by silence
        alone, content = added(three, "north")
        with three.store("north", pin_s=5, find_s=2) as north:
            started = time.monotonic()
            with pytest.raises(TooFewCopies, match=f"{alone} has [01] of 2 copies after 5 s"):
                north.pin(alone)
            assert time.monotonic() - started < 300  # and no wait for who is cut off
            assert alone not in listed(north)
            assert b"".join(north.cat(alone)) == content  # its own it still reads
            assert b"".join(north.cat(kept[0][0])) == kept[0][1]
        kept.append(pinned(three, "center"))  # two of three go on
        with (
            three.store("north", find_s=2) as north,
            pytest.raises(MissingBlock, match=f"{kept[1][0]} .*none of the [0-2] members"),
        ):
            north.get_block(kept[1][0])
        kept.append(pinned(three, "harbor"))
    with three.store("north") as north:  # healed: nobody was told, it is asked again
        north.pin(alone)
    kept.append((alone, content))
    three.await_connected(NAMES)
    for name in NAMES:
        with three.store(name) as store:
            all_kept = {cid for cid, _ in kept}
            assert eventually(lambda s=store, w=all_kept: w <= set(listed(s)), 300)
            for cid, wanted in kept:
                assert b"".join(store.cat(cid)) == wanted


def ordered(store: ClusterStore) -> set[str] | None:
    """What is to be kept, says the member; None while it waits in vain for who is cut off."""
    try:
        return set(store.cluster.pinset())
    except Unreachable:
        return None


def test_what_one_side_unpinned_stays_unpinned_after_healing(three: Machines) -> None:
    """Erasure is not undone by a member that did not hear of it."""
    cid, _ = pinned(three, "north")
    with three.network.without("north"):
        with three.store("center") as center:
            center.unpin(cid)
        with three.store("north") as north:  # it has not heard
            assert eventually(lambda: str(cid) in (ordered(north) or ()), 300)
    three.await_connected(NAMES)
    for name in NAMES:
        with three.store(name) as store:
            assert eventually(lambda s=store: str(cid) not in (ordered(s) or {str(cid)}), 300)


def reached_by(network: Network, name: str) -> set[tuple[str, int]]:
    """Where that machine has connections to, beyond itself."""
    with network.of(name):
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    ends = [line.split()[2].split(":") for line in lines if line.split()[3] == "01"]
    found = {(inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)) for host, port in ends}
    own = ("127.0.0.1", network.hosts[name])
    return {(host, port) for host, port in found if host not in own}


def test_a_hospital_that_lets_nobody_in_is_a_member_over_one_port(tmp_path: Path) -> None:
    """All of the swarm and of the cluster goes to the others' 4001."""
    with machines(tmp_path, NAMES, closed=["north"], one_port=True) as three:
        three.await_connected(NAMES)
        for name in NAMES:
            with three.store(name) as store:
                store.copies = 3
                content = os.urandom(3 << 20)
                cid = store.add_file(io.BytesIO(content))
                store.pin(cid)
        assert reached_by(three.network, "north") == {
            (three.network.hosts[name], 4001) for name in ("center", "harbor")
        }
        with three.network.of("north"):  # its node's end takes the tunnels with it
            three.swarms["north"].nodes["north"].kill()
            three.swarms["north"].restart("north", timeout_s=300)
        three.await_connected(NAMES)
        with three.store("north") as north:
            north.copies = 3
            north.pin(north.add_file(io.BytesIO(os.urandom(99))))
            assert b"".join(north.cat(cid)) == content


def test_hospitals_that_let_nobody_in_have_copies_at_who_does(tmp_path: Path) -> None:
    """Of each other they see nothing: two copies, at the center and at themselves, are enough."""
    names, shy = ["center", "north", "lake"], ["north", "lake"]
    with machines(tmp_path, names, closed=shy, one_port=True) as three:
        for name in shy:
            three.await_connected(["center", name])
        for name in shy:
            with three.store(name) as store:
                content = os.urandom(3 << 20)
                cid = store.add_file(io.BytesIO(content))
                store.pin(cid)
            (other,) = set(shy) - {name}
            with three.store("center") as center:
                assert b"".join(center.cat(cid)) == content
            with three.store(other, find_s=60) as there:
                assert b"".join(there.cat(cid)) == content
            with three.store("center") as center:  # the third copy is there, and only it can tell
                assert eventually(lambda s=center, c=cid: held(s.cluster.copies(str(c))) == 3, 300)
            with three.store(name, pin_s=20) as store:
                assert cid in store.pins()
                states = {copy.peer: copy.state for copy in store.cluster.copies(str(cid))}
                assert states == {name: PINNED, "center": PINNED, other: "cluster_error"}
                store.copies = 3
                few = f"{cid} has 2 of 3 copies after 20 s.*{other} cluster_error.*failed to dial"
                with pytest.raises(TooFewCopies, match=f"(?s){few}"):
                    store.pin(cid)
