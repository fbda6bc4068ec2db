"""A private IPFS that is one: real nodes under one key, and what happens without it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage import Codec, EmbeddedStore, put_record, raw_cid
from storage.backends import backend_of, open_store, reach_store
from storage.errors import MissingBlock, NodeFailed, NotPrivate, Unreachable
from storage.kubo import KuboStore
from storage.kubo_config import Peer, swarm_key, ways_out
from storage.kubo_node import KuboNode
from storage.private_swarm import PrivateSwarm
from storage.store import links
from storage.unixfs import CHUNK_SIZE
from tests.storage.kit import SLOW_S, eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.engine("kubo"), pytest.mark.processes, pytest.mark.timeout(1800)]
PATIENT_S = 120.0  # for a block that another member has


class Keyless(KuboNode):
    """A node that is not told to refuse to start without a key."""

    def _environment(self) -> dict[str, str]:
        env = super()._environment()
        del env["LIBP2P_FORCE_PNET"]
        return env


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[KuboNode]:
    """A node that is in no swarm yet."""
    node = Keyless(tmp_path / "stranger")
    node.create()
    yield node
    node.stop()


def listening(node: KuboNode) -> Peer:
    config = json.loads((node.repo / "config").read_text())
    (address,) = config["Addresses"]["Swarm"]
    return Peer(node.peer_id, "127.0.0.1", int(address.rsplit("/", 1)[1]))


def start(node: KuboNode, members: list[Peer], key: str) -> None:
    node.configure(Peer(node.peer_id, "127.0.0.1", free_port()), members, key)
    if not key:
        (node.repo / "swarm.key").unlink()
    node.launch()
    node.await_api()


def connect(node: KuboNode, to: KuboNode) -> None:
    there = listening(to)
    with node.store() as store:
        store.connect(f"{there.address}/p2p/{there.peer_id}")


@pytest.fixture
def patient_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has heard of a feed still reads it at its member, who may be slow."""
    monkeypatch.setattr("storage.feeds.ASK_S", PATIENT_S)


def test_a_member_reads_and_pins_what_another_made(swarm: PrivateSwarm) -> None:
    content = os.urandom(9 * CHUNK_SIZE + 7)
    with swarm.store("harbor") as harbor, swarm.store("center", find_s=PATIENT_S) as center:
        cid = harbor.add_file(io.BytesIO(content))
        assert not center.has(cid)
        assert b"".join(center.cat(cid, CHUNK_SIZE, 5)) == content[CHUNK_SIZE : CHUNK_SIZE + 5]
        center.pin(cid)
        assert cid in center.pins()
        assert cid not in harbor.pins()
        harbor.rpc.call("repo/gc", {})
        assert not harbor.has(cid)
        assert b"".join(center.cat(cid)) == content


def test_every_member_hears_an_announcement(swarm: PrivateSwarm) -> None:
    topic = os.urandom(32)
    with (
        swarm.store("harbor") as harbor,
        swarm.store("hill") as hill,
        swarm.store("center") as center,
    ):
        first = harbor.put_block(Codec.RAW, os.urandom(9))
        harbor.announce(topic, first)
        second = hill.put_block(Codec.RAW, os.urandom(9))
        hill.announce(topic, second)
        both = sorted([first, second])
        for store in (center, harbor, hill):
            assert eventually(lambda store=store: store.announced(topic) == both)


def test_a_member_with_a_broken_feed_hides_nobody_elses(swarm: PrivateSwarm) -> None:
    topic = os.urandom(32)
    with (
        swarm.store("harbor") as harbor,
        swarm.store("hill") as hill,
        swarm.store("center") as center,
    ):
        cid = harbor.put_block(Codec.RAW, os.urandom(9))
        for junk in (hill.put_block(Codec.RAW, b"no folder"), put_record(hill, {"a": [1]})):
            hill.rpc.call("name/publish", {"arg": f"/ipfs/{junk}", "resolve": "false"})
            harbor.announce(topic, cid)
            assert eventually(lambda: center.announced(topic) == [cid])
        hill.publish_feed()


@pytest.mark.usefixtures("patient_feeds")
def test_announcements_at_once_through_one_node_are_all_heard(swarm: PrivateSwarm) -> None:
    topic, cids = os.urandom(32), sorted(raw_cid(os.urandom(32)) for _ in range(60))

    def tell(start: int) -> None:
        with swarm.store("harbor") as harbor:
            for cid in cids[start::3]:
                harbor.announce(topic, cid)

    with ThreadPoolExecutor(3) as pool, swarm.store("center") as center:
        list(pool.map(tell, range(3)))
        swarm.await_heard(SLOW_S)
        assert center.announced(topic) == cids


@pytest.mark.usefixtures("patient_feeds")
def test_all_have_heard_what_was_announced_before_the_wait(swarm: PrivateSwarm) -> None:
    with (
        swarm.store("harbor") as harbor,
        swarm.store("hill") as hill,
        swarm.store("center") as center,
    ):
        for _ in range(10):
            topic = os.urandom(32)
            cids = sorted(raw_cid(os.urandom(32)) for _ in range(3))
            harbor.announce(topic, *cids[:2])
            hill.announce(topic, cids[2])
            swarm.await_heard(SLOW_S)
            assert center.announced(topic) == cids


def test_who_is_gone_is_named_by_who_waits_to_be_heard(tmp_path: Path) -> None:
    with PrivateSwarm(tmp_path, ["harbor", "center"]) as swarm, swarm.store("harbor") as harbor:
        center = swarm.nodes["center"].api_url
        harbor.announce(os.urandom(32), raw_cid(bytes(32)))
        swarm.nodes["center"].kill()
        with pytest.raises(Unreachable, match=center):
            swarm.await_heard()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Bootstrap": []}, "Bootstrap is not empty"),
        ({"Routing": {"Type": "auto"}}, "Routing.Type is not none"),
        ({"Discovery": {"MDNS": {"Enabled": True}}}, "MDNS.Enabled is not False"),
    ],
    ids=["bootstrap", "routing", "mdns"],
)
def test_a_node_that_is_open_to_strangers_is_no_store(
    stranger: KuboNode, change: dict[str, object], named: str
) -> None:
    stranger.configure(Peer(stranger.peer_id, "127.0.0.1", free_port()), [], swarm_key())
    config = json.loads((stranger.repo / "config").read_text())
    if "Bootstrap" in change:
        change = {"Bootstrap": [f"/ip4/127.0.0.1/tcp/9/p2p/{stranger.peer_id}"]}
    (stranger.repo / "config").write_text(json.dumps(config | change))
    if "Routing" not in change:  # a routed node asks for its peers at once
        stranger.launch()
        stranger.await_api()
        with pytest.raises(NotPrivate, match=named):
            reach_store(stranger.api_url)
    assert ways_out(config) == []
    assert [named] == [way[-len(named) :] for way in ways_out(config | change)]


def test_a_node_of_the_swarm_is_a_store(swarm: PrivateSwarm, tmp_path: Path) -> None:
    with swarm.store("hill") as hill:
        url = hill.url
    assert reach_store(url).pins() == sorted(reach_store(url).pins())
    with pytest.raises(Unreachable, match="no block store at"):
        reach_store(str(tmp_path / "nothing"))


def test_an_address_opens_its_backend(swarm: PrivateSwarm, tmp_path: Path) -> None:
    url = swarm.nodes["harbor"].api_url
    assert backend_of(url) == "kubo-private"
    assert backend_of(str(tmp_path)) == "embedded"
    for where in (url, str(EmbeddedStore.create(tmp_path / "store").path)):
        assert open_store(where).pins() == sorted(open_store(where).pins())


def test_nothing_listens_beyond_loopback_and_secrets_are_the_owners(swarm: PrivateSwarm) -> None:
    for name, node in swarm.nodes.items():
        with swarm.store(name) as store:
            listened = store.rpc.call("swarm/addrs/listen", {})["Strings"]
        assert listened == [listening(node).address]
        assert node.api_url.startswith("http://127.0.0.1:")
        for file in ("swarm.key", "config"):
            assert (node.repo / file).stat().st_mode & 0o777 == 0o600
    assert (swarm.folder / "swarm.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("key", ["", swarm_key()], ids=["no key", "another key"])
def test_a_node_without_the_key_cannot_connect(
    swarm: PrivateSwarm, stranger: KuboNode, key: str
) -> None:
    harbor = swarm.nodes["harbor"]
    start(stranger, [listening(harbor)], key)
    for here, there in ((stranger, harbor), (harbor, stranger)):
        with pytest.raises(Unreachable, match=r"failed to negotiate security|in time"):
            connect(here, there)
    with swarm.store("harbor") as inside, stranger.store(find_s=3) as outside:
        cid = inside.put_block(Codec.RAW, os.urandom(40))
        with pytest.raises(MissingBlock, match="none of the 0 members"):
            outside.get_block(cid)
        assert outside.control.peers() == []
        assert stranger.peer_id not in inside.control.peers()


def test_the_same_node_connects_once_it_has_the_key(
    swarm: PrivateSwarm, stranger: KuboNode
) -> None:
    harbor = swarm.nodes["harbor"]
    start(stranger, [listening(harbor)], (swarm.folder / "swarm.key").read_text())
    connect(stranger, harbor)
    with swarm.store("harbor") as inside, stranger.store(find_s=PATIENT_S) as now_inside:
        cid = inside.put_block(Codec.RAW, os.urandom(40))
        assert len(now_inside.get_block(cid)) == 40


def test_a_member_whose_key_is_gone_does_not_start(tmp_path: Path) -> None:
    node = KuboNode(tmp_path / "careless")
    node.create()
    try:
        with pytest.raises(NodeFailed, match="private network"):
            start(node, [], "")
    finally:
        node.stop()


def test_what_was_made_and_told_outlives_kills_and_restarts(tmp_path: Path) -> None:
    topic, content = os.urandom(32), os.urandom(CHUNK_SIZE + 1)
    names = ["harbor", "center"]
    with (
        PrivateSwarm(tmp_path, names) as swarm,
        swarm.store("harbor") as harbor,
        swarm.store("center") as center,
    ):
        cid = harbor.add_file(io.BytesIO(content))
        harbor.pin(cid)
        harbor.announce(topic, cid)
        assert eventually(lambda: center.announced(topic) == [cid])
        ids = {name: node.peer_id for name, node in swarm.nodes.items()}
        swarm.nodes["harbor"].kill()
        with pytest.raises(Unreachable, match=harbor.url):
            harbor.get_block(cid)
        with pytest.raises(Unreachable, match=harbor.url):
            harbor.pins()
        assert center.announced(topic) == [cid]
    taken = listening(swarm.nodes["harbor"]).port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        with (
            PrivateSwarm(tmp_path, names, ports_may_change=True) as again,
            again.store("harbor") as harbor,
            again.store("center", find_s=PATIENT_S) as center,
        ):
            assert {name: node.peer_id for name, node in again.nodes.items()} == ids
            assert harbor.pins() == [cid]
            assert eventually(lambda: center.announced(topic) == [cid])
            assert b"".join(center.cat(cid)) == content


def test_a_folder_in_use_is_refused(swarm: PrivateSwarm) -> None:
    with pytest.raises(NodeFailed, match="another process runs the IPFS nodes"):
        PrivateSwarm(swarm.folder, ["harbor"]).start()


PARENT = """
    import sys, time
    from pathlib import Path
    from storage.private_swarm import PrivateSwarm

    swarm = PrivateSwarm(Path(sys.argv[1]), ["harbor"]).start()
    print(swarm.nodes["harbor"].pid, flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nodes_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not alive(pid))


def test_a_missing_block_is_not_waited_for_longer_than_said(swarm: PrivateSwarm) -> None:
    with KuboStore(swarm.nodes["hill"].api_url, find_s=1, call_s=900) as hill:
        started = time.monotonic()
        with pytest.raises(MissingBlock, match=r"none of the \d members .*within 1 s"):
            hill.get_block(raw_cid(os.urandom(32)))
        assert time.monotonic() - started < 300  # and not the time of a call


def test_a_file_that_is_dropped_leaves_the_node_and_what_is_pinned_stays(
    swarm: PrivateSwarm,
) -> None:
    name = next(iter(swarm.nodes))
    with swarm.nodes[name].store(find_s=1) as store:
        kept = store.put_block(Codec.RAW, os.urandom(100))
        store.pin(kept)
        file = store.add_file(io.BytesIO(os.urandom(130 * CHUNK_SIZE)))  # two calls' worth
        leaves = links(file, store.get_block(file))
        root = put_record(store, {"file": file, "pinned": kept})
        with pytest.raises(Unreachable, match=f"keeps a block.*{kept}.*pinned"):
            store.drop(root)
        assert not any(store.has(cid) for cid in (root, file, *leaves))
        assert store.has(kept)
