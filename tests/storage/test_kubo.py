"""A node is not trusted: what it says is checked, and what it does not say ends in one error."""

import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage import Codec, raw_cid, toolchain
from storage.errors import CorruptBlock, EngineMissing, MissingBlock, StorageError, Unreachable
from storage.kubo import KuboStore
from storage.kubo_config import Peer, hardened, swarm_key
from storage.kubo_node import KuboNode
from tests.storage.kit import free_port

ABSENT = raw_cid(b"\x07" * 32)
Uses = dict[str, Callable[[KuboStore], object]]
USES: Uses = {
    "put_block": lambda store: store.put_block(Codec.RAW, b"hello"),
    "get_block": lambda store: store.get_block(ABSENT),
    "has": lambda store: store.has(ABSENT),
    "pin": lambda store: store.pin(ABSENT),
    "unpin": lambda store: store.unpin(ABSENT),
    "pins": lambda store: store.pins(),
    "announce": lambda store: store.announce(b"\x01" * 32, ABSENT),
    "announced": lambda store: store.announced(b"\x01" * 32),
}
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def hostile(answer: Answer) -> Iterator[str]:
    """A server that answers every call as it likes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def saying(status: int, body: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def error(message: str) -> Answer:
    return saying(500, json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode())


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_node_that_is_down_is_named(use: Callable[[KuboStore], object]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with KuboStore(url) as store, pytest.raises(Unreachable, match=url):
            use(store)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    "answer",
    [saying(200, b"<html>hello</html>"), saying(404, b"404 page not found"), saying(403, b"")],
    ids=["a page", "not found", "forbidden"],
)
def test_what_is_no_node_ends_in_an_error_that_names_it(
    answer: Answer, use: Callable[[KuboStore], object]
) -> None:
    with (
        hostile(answer) as url,
        KuboStore(url) as store,
        pytest.raises(StorageError, match=url),
    ):
        use(store)


def test_a_node_that_names_other_bytes_is_caught() -> None:
    lie = json.dumps({"Key": str(ABSENT), "Hash": str(ABSENT)}).encode()
    with hostile(saying(200, lie)) as url, KuboStore(url) as store:
        with pytest.raises(CorruptBlock, match="use another node"):
            store.put_block(Codec.RAW, b"hello")
        with pytest.raises(CorruptBlock, match="use another node"):
            store.add_file(io.BytesIO(b"hello"))


def test_a_node_that_never_stops_talking_is_cut_off() -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 20))
        except OSError:
            return

    with (
        hostile(flood) as url,
        KuboStore(url) as store,
        pytest.raises(CorruptBlock, match="1048577 bytes hash to"),
    ):
        store.get_block(ABSENT)


def test_a_node_that_drips_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(3000):  # minutes
                handler.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            return

    monkeypatch.setattr("storage.kubo_rpc._GRACE_S", 0.5)
    started = time.monotonic()
    with (
        hostile(drip) as url,
        KuboStore(url, find_s=0.5) as store,
        pytest.raises(Unreachable, match=f"{url} did not answer within"),
    ):
        store.get_block(ABSENT)
    assert time.monotonic() - started < 120


def test_a_full_disk_is_said_to_be_full() -> None:
    with hostile(error("write /x: no space left on device")) as url, KuboStore(url) as store:
        with pytest.raises(Unreachable, match="is full: free some space"):
            store.put_block(Codec.RAW, b"hello")
        with pytest.raises(Unreachable, match="is full: free some space"):
            store.pin(ABSENT)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5001", "https://example.org:5001", "http://example.org", "http://h:x"]
)
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(Unreachable, match="write http://HOST:PORT"):
        KuboStore(url)


def test_a_machine_without_kubo_hears_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissing, match="make engines"):
        KuboNode(tmp_path / "node").create()


def test_another_version_on_path_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "ipfs"
    other.write_text("#!/bin/sh\necho 0.42.0\n")
    other.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(EngineMissing, match=toolchain.KUBO_VERSION):
        toolchain.kubo()


def test_a_configuration_leaves_no_way_out() -> None:
    initial = {"Datastore": {"Spec": {}}, "Swarm": {"Transports": {"Network": {}}, "Kept": 1}}
    own = Peer("12D3a", "127.0.0.1", 4001)
    config = hardened(initial, own, [own, Peer("12D3b", "::1", 4002)])
    assert config["Bootstrap"] == []
    assert config["Routing"] == {"Type": "none"}
    assert not any(config["Swarm"]["Transports"]["Network"].values())
    assert config["Swarm"]["Kept"] == 1
    assert config["Addresses"]["Gateway"] == ""
    assert config["Peering"]["Peers"][1] == {"ID": "12D3b", "Addrs": ["/ip6/::1/tcp/4002"]}
    assert initial == {
        "Datastore": {"Spec": {}},
        "Swarm": {"Transports": {"Network": {}}, "Kept": 1},
    }


def test_every_swarm_has_a_key_of_its_own() -> None:
    first, second = swarm_key().splitlines(), swarm_key().splitlines()
    assert first[:2] == ["/key/swarm/psk/1.0.0/", "/base16/"]
    assert len(bytes.fromhex(first[2])) == 32
    assert first != second


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.engine("kubo")
def test_a_real_node_on_a_full_disk_says_so_and_keeps_what_it_had(small_disk: Path) -> None:
    node = KuboNode(small_disk / "node")
    node.create()
    node.configure(Peer(node.peer_id, "127.0.0.1", free_port()), [], swarm_key())
    node.launch()
    try:
        node.await_api()
        with node.store(find_s=1) as store:
            cid = store.put_block(Codec.RAW, b"before")
            with pytest.raises(Unreachable, match="is full: free some space"):
                store.add_file(io.BytesIO(os.urandom(40 << 20)))
            assert store.get_block(cid) == b"before"
            with pytest.raises(MissingBlock):
                store.get_block(ABSENT)
    finally:
        node.stop()
