"""Blocks that rot on a disk, a disk that is full, and an upload whose connection breaks."""

import io
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from storage import Cid, Codec, EmbeddedStore, put_record
from storage.cluster import ClusterStore
from storage.cluster_heal import healed
from storage.cluster_member import read_member
from storage.cluster_swarm import ClusterSwarm
from storage.errors import (
    CorruptBlock,
    StorageError,
    TooFewCopies,
    Unanswered,
    Unreachable,
    caused_by,
)
from storage.kubo import KuboStore
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import LONG, SLOW_S, eventually, kubo_file

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]


def spoil(swarm: ClusterSwarm, name: str, leaf: Cid) -> None:
    """What a disk may do to a block."""
    path = kubo_file(swarm.nodes[name], leaf)
    path.chmod(0o600)
    path.write_bytes(b"rot" + path.read_bytes()[3:])


@pytest.fixture
def spread(cluster: ClusterSwarm) -> tuple[Cid, Cid, bytes]:
    """A file that all three have pinned, as a link of a record, too; and its first leaf."""
    content = os.urandom(3 * CHUNK_SIZE)
    with cluster.store("harbor", copies=3) as store:
        cid = store.add_file(io.BytesIO(content))
        store.pin(cid, put_record(store, {"file": cid}))
    return cid, Cid.of(Codec.RAW, content[:CHUNK_SIZE]), content


def test_a_rotten_block_is_replaced_by_anothers_and_stays_pinned(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    with cluster.store("hill", find_s=120) as hill:
        before = set(hill.control.pins())
        assert b"".join(hill.cat(cid)) == content
        assert set(hill.control.pins()) >= before
    assert kubo_file(cluster.nodes["hill"], leaf).read_bytes() == content[:CHUNK_SIZE]
    with cluster.nodes["hill"].store(find_s=1) as alone:
        assert b"".join(alone.cat(cid, 5, CHUNK_SIZE)) == content[5 : CHUNK_SIZE + 5]


def test_sixteen_readers_of_a_rotten_block_all_get_the_right_one(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    found: list[bytes] = []
    with cluster.store("hill", find_s=120) as hill:
        readers = [
            threading.Thread(target=lambda: found.append(b"".join(hill.cat(cid))))
            for _ in range(16)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert found == [content] * 16
        assert cid in hill.pins()


def test_a_block_that_is_rotten_everywhere_ends_in_one_error_of_node_and_cid(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    for name in cluster.nodes:
        spoil(cluster, name, leaf)
    url = cluster.nodes["hill"].api_url
    with cluster.store("hill", find_s=2) as hill:
        for _ in range(2):  # the second time, too: nothing wrong is ever returned
            with pytest.raises(StorageError, match=f"{leaf} .*{url}"):
                list(hill.cat(cid))
        for name in cluster.nodes:
            with cluster.store(name) as store:
                store.put_block(Codec.RAW, content[:CHUNK_SIZE])
        assert b"".join(hill.cat(cid)) == content
        hill.pin(cid)


def test_what_was_lifted_for_a_rotten_block_is_pinned_again_though_nobody_gave_it(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    """Else the rest of the file would go with the next garbage that is collected."""
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    for name in ("harbor", "center"):  # who report a copy, and have lost this block
        kubo_file(cluster.nodes[name], leaf).unlink()
    with cluster.store("hill", find_s=2) as hill:
        own = str(hill.cluster.identity()["id"])
        with pytest.raises(CorruptBlock, match=f"{leaf} .*{hill.url}.* no other member gave it"):
            list(hill.cat(cid))
        assert not hill.has(leaf)
        states = {copy.peer_id: copy.state for copy in hill.cluster.copies(str(cid))}
        assert states[own] in ("pinning", "pin_queued")  # not: unexpectedly unpinned
        with cluster.store("harbor") as harbor:
            harbor.put_block(Codec.RAW, content[:CHUNK_SIZE])
        assert eventually(lambda: str(cid) in hill.control.pins())
    with cluster.store("center") as center:
        center.put_block(Codec.RAW, content[:CHUNK_SIZE])


def test_what_nobody_else_holds_is_not_removed_for_being_rotten(cluster: ClusterSwarm) -> None:
    """What can be saved of it by hand is all that there is."""
    content = os.urandom(2 * CHUNK_SIZE)
    leaf = Cid.of(Codec.RAW, content[:CHUNK_SIZE])
    with cluster.store("hill", find_s=2) as hill:
        cid = hill.add_file(io.BytesIO(content))
        hill.control.pin([str(cid)], 30)
        spoil(cluster, "hill", leaf)
        with pytest.raises(CorruptBlock, match=f"{leaf} .*{hill.url}"):
            list(hill.cat(cid))
        assert str(cid) in hill.control.pins()
        assert kubo_file(cluster.nodes["hill"], leaf).read_bytes()[3:] == content[3:CHUNK_SIZE]


def test_a_rotten_block_is_not_said_to_be_nowhere_else_while_holders_are_silent(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    others = ("harbor", "center")
    with cluster.store("hill", find_s=2) as hill:
        own = str(hill.cluster.identity()["id"])
        with ended(cluster, peers=others):
            assert eventually(lambda: _states(hill, cid, but=own) == {"cluster_error"})
            with pytest.raises(CorruptBlock, match=f"{leaf} .*{hill.url}") as caught:
                list(hill.cat(cid))
            told = caused_by(caught.value, Unanswered)
            assert all(name in str(told) for name in others)
            assert hill.has(leaf)  # what can be saved of it by hand may be all that there is
        with ended(cluster, peers=["hill"]), pytest.raises(CorruptBlock) as caught:
            hill.get_block(leaf)
        assert caused_by(caught.value, Unanswered)
    with cluster.store("hill", find_s=120) as hill:
        assert eventually(lambda: "pinned" in _states(hill, cid, but=own))
        assert b"".join(hill.cat(cid)) == content


def test_a_rotten_block_that_a_silent_node_may_have_is_read_once_that_is_back(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    kubo_file(cluster.nodes["center"], leaf).unlink()  # who reports a copy, and has lost this block
    with cluster.store("hill", find_s=2) as hill, ended(cluster, nodes=["harbor"]):
        with pytest.raises(CorruptBlock, match=f"{leaf} .*{hill.url}") as caught:
            list(hill.cat(cid))
        assert caused_by(caught.value, Unanswered)
    with cluster.store("hill", find_s=120) as hill:
        assert b"".join(hill.cat(cid)) == content
    with cluster.store("center") as center:
        center.put_block(Codec.RAW, content[:CHUNK_SIZE])


def test_what_is_erased_while_a_block_of_it_is_healed_is_not_pinned_again(
    cluster: ClusterSwarm, spread: tuple[Cid, Cid, bytes]
) -> None:
    cid, leaf, content = spread
    spoil(cluster, "hill", leaf)
    reads = 0
    with cluster.store("hill", find_s=120) as hill:

        def fetch(wanted: Cid) -> bytes:
            nonlocal reads
            reads += 1
            if reads == 2:  # all pins are lifted, and the rotten block is gone
                hill.cluster.unpin(str(cid))
                assert eventually(lambda: not hill.cluster.copies(str(cid)))
            return KuboStore.get_block(hill, wanted)

        before = set(hill.control.pins())
        assert healed(hill, hill.cluster, leaf, fetch) == content[:CHUNK_SIZE]
        assert reads == 2
        assert before - set(hill.control.pins()) == {
            str(cid)
        }  # and not the record that links to it


@contextmanager
def ended(
    swarm: ClusterSwarm, *, peers: Sequence[str] = (), nodes: Sequence[str] = ()
) -> Iterator[None]:
    """These daemons are dead meanwhile."""
    for name in peers:
        swarm.peers[name].kill()
    for name in nodes:
        swarm.nodes[name].kill()
    try:
        yield
    finally:
        if nodes:
            swarm.restart(*nodes, timeout_s=SLOW_S)
        for name in peers:
            swarm.restart_peer(name, SLOW_S)
        names = {peer.peer_id: name for name, peer in swarm.peers.items()}
        for peer in swarm.peers.values():
            peer.await_members(names, SLOW_S)


def _states(store: ClusterStore, cid: Cid, *, but: str) -> set[str]:
    return {copy.state for copy in store.cluster.copies(str(cid)) if copy.peer_id != but}


@contextmanager
def counting(url: str, cut_at: int | None = None) -> Iterator[tuple[str, list[int]]]:
    """The way to a node: what was sent to it in all, and an end to it after so many bytes."""
    host, port = url.removeprefix("http://").split(":")
    sent = [0]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def carry(source: socket.socket, target: socket.socket, counts: bool) -> None:
            with suppress(OSError):
                while piece := source.recv(1 << 16):
                    if counts:
                        sent[0] += len(piece)
                    if cut_at is not None and sent[0] > cut_at:
                        break
                    target.sendall(piece)
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()  # who goes on sending is told

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = server.accept()
                    if cut_at is not None and sent[0] > cut_at:
                        near.close()
                        continue
                    far = socket.create_connection((host, int(port)))
                    for ends in ((near, far, True), (far, near, False)):
                        threading.Thread(target=carry, args=ends, daemon=True).start()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", sent
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


UPLOADER = """
    import sys
    from pathlib import Path
    from storage.cluster import ClusterStore
    from storage.cluster_member import read_member
    from storage.errors import Unreachable

    with ClusterStore(read_member(Path(sys.argv[1])), resume_s=0) as store:
        try:
            with open(sys.argv[2], "rb") as file:
                print(store.add_file(file))
        except Unreachable as exc:
            print("broken off:", exc)
"""


def upload(member: Path, file: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(UPLOADER), str(member), str(file)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_another_process_goes_on_with_what_a_broken_upload_lacks(
    cluster: ClusterSwarm, tmp_path: Path
) -> None:
    size = 40 * CHUNK_SIZE
    file, member = tmp_path / "file", tmp_path / "member.json"
    file.write_bytes(os.urandom(size))
    direct = read_member(cluster.member_file("harbor"))
    with counting(direct.kubo, cut_at=size * 3 // 4) as (url, first):
        replace(direct, kubo=url).write(member)
        assert f"broken off: the IPFS node at {url}" in upload(member, file)
    with counting(direct.kubo) as (url, second), ClusterStore(replace(direct, kubo=url)) as store:
        cid = store.add_file(io.BytesIO(file.read_bytes()))
    with counting(direct.kubo) as (url, third), ClusterStore(replace(direct, kubo=url)) as store:
        assert store.add_file(io.BytesIO(file.read_bytes())) == cid
    assert first[0] > size * 3 // 4
    assert second[0] < size * 3 // 4  # a part was there: a node keeps 20 MB at a time
    assert third[0] < CHUNK_SIZE  # all was there: only questions
    with cluster.store("harbor") as store:
        assert b"".join(store.cat(cid)) == file.read_bytes()


@pytest.fixture
def small_disks(tmp_path: Path) -> Iterator[Path]:
    """Two members' folders on file systems of 32 MiB each."""
    folders = [tmp_path / name for name in ("harbor", "hill")]
    for folder in folders:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs root")
    yield tmp_path
    for folder in folders:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@LONG
def test_full_disks_of_members_are_said_and_work_goes_on_once_there_is_space(
    small_disks: Path,
) -> None:
    """harbor's own disk fills, then that of hill, which is to hold its copies."""
    names = ["harbor", "hill", "center"]
    with ClusterSwarm(small_disks, names) as swarm:
        with swarm.store("harbor", copies=3, pin_s=300) as harbor:
            kept = harbor.add_file(io.BytesIO(bytes(99)))
            harbor.pin(kept)
            harbor.resume_s = 0
            with pytest.raises(Unreachable, match=f"disk .*{harbor.url} is full"):
                harbor.add_file(io.BytesIO(os.urandom(40 << 20)))
            assert_kept(swarm, names, kept)
        make_space(swarm, "harbor")
        with swarm.store("harbor", copies=3, pin_s=300) as harbor:
            again = harbor.add_file(io.BytesIO(os.urandom(99)))
            harbor.pin(again)
        full = small_disks / "hill" / "ballast"
        with suppress(OSError), full.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass
        with swarm.store("center", copies=3, pin_s=20) as center:
            cid = center.add_file(io.BytesIO(os.urandom(3 << 20)))
            with pytest.raises(TooFewCopies, match=f"{cid} has 2 of 3 copies .*hill pin_error"):
                center.pin(cid)
            assert_kept(swarm, names, kept)
            full.unlink()
            center.pin_s = 300
            center.pin(cid)
            assert_kept(swarm, names, cid)


def make_space(swarm: ClusterSwarm, name: str) -> None:
    with swarm.nodes[name].store() as node:
        node.rpc.call("repo/gc", {})


def assert_kept(swarm: ClusterSwarm, names: list[str], cid: Cid) -> None:
    for name in names:
        with swarm.nodes[name].store(find_s=1) as alone:
            assert alone.has(cid)
            assert b"".join(alone.cat(cid))


def test_an_embedded_store_on_a_full_disk_says_so_and_goes_on_once_there_is_space(
    small_disks: Path,
) -> None:
    store = EmbeddedStore.create(small_disks / "harbor")
    kept = store.add_file(io.BytesIO(b"kept"))
    store.pin(kept)
    ballast = small_disks / "harbor" / "ballast"
    ballast.write_bytes(bytes(16 << 20))
    with pytest.raises(Unreachable, match=f"{store.path} failed: No space left"):
        store.add_file(io.BytesIO(os.urandom(30 << 20)))
    assert store.pins() == [kept]
    assert b"".join(store.cat(kept)) == b"kept"
    store.collect(min_age_s=0)
    ballast.unlink()
    cid = store.add_file(io.BytesIO(content := os.urandom(8 << 20)))
    store.pin(cid)
    assert b"".join(store.cat(cid)) == content
    assert not list((store.path / "tmp").iterdir())
