"""What goes wrong with a private IPFS, each in one line that says what, where, what to do."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api.cli.main import main
from chain.types import RoundNumber
from federated.center import finalize, open_round
from federated.hospital import freeze, submit, train
from storage.errors import Unreachable
from storage.private_swarm import PrivateSwarm
from tests.e2e import kit
from tests.e2e.kit import World

Command = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command that must fail; the one line that it says."""
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", "a passphrase of this test")
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 1
        shown = capsys.readouterr()
        (line,) = shown.err.strip().splitlines()[-1:]
        assert line.startswith("consilium: ")
        assert "Traceback" not in shown.err
        assert "unforeseen" not in line
        return line

    return run


def init(store: str) -> tuple[str, ...]:
    options = ("--role", "operator", "--name", "operator", "--rpc", "http://127.0.0.1:1")
    return ("--home", "home", "participant", "init", *options, "--store", store)


@pytest.fixture
def dead() -> Iterator[str]:
    """Where nobody listens, nor comes to while the test runs: the port is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(params=[(200, b"<html>hello</html>"), (200, b"{}"), (404, b"no"), (405, b"")])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """A web server that is no Kubo."""
    status, body = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_node_that_does_not_run_is_named(refused: Command, dead: str, tmp_path: Path) -> None:
    line = refused(*init(dead))
    assert dead in line
    assert "start it, or correct the address" in line
    assert not (tmp_path / "home").exists()


def test_what_is_no_kubo_is_named(refused: Command, stranger: str, tmp_path: Path) -> None:
    line = refused(*init(stranger))
    assert stranger in line
    assert "no RPC of Kubo" in line
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("where", ["http://127.0.0.1", "http://:5001", "http://a:b"])
def test_an_address_that_is_none_is_refused(refused: Command, where: str) -> None:
    assert "write http://HOST:PORT" in refused(*init(where))


@pytest.mark.usefixtures("refused")
def test_a_check_names_the_node_that_is_gone(
    dead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(init("store")) == 0
    path = tmp_path / "home" / "home.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"store": dead}))
    assert main(("--home", "home", "check")) == 1
    assert dead in "".join(capsys.readouterr().out.split())


def test_a_store_folder_that_does_not_exist_is_named(refused: Command, tmp_path: Path) -> None:
    assert main(init("store")) == 0
    path = tmp_path / "home" / "home.json"
    gone = str(tmp_path / "gone")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"store": gone}))
    (tmp_path / "deployment.json").write_text("{}")
    line = refused(
        *("--home", "other", "participant", "init", "--role", "hospital", "--name", "north"),
        *("--rpc", "http://127.0.0.1:1", "--store", gone, "--deployment", "deployment.json"),
    )
    assert f"no block store at {gone}" in line


def test_a_demo_without_kubo_says_what_brings_it(
    refused: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused("--home", "home", "demo", "--store", "kubo")
    assert "make engines" in line
    assert not (tmp_path / "home" / "last").exists()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of a few MiB, too small for a demo."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.engine("anvil", "kubo")
@pytest.mark.processes
@pytest.mark.parametrize(
    ("backend", "small_disk"),
    [("embedded", 1), ("embedded", 4), ("embedded", 8), ("kubo", 2), ("kubo", 6)],
    indirect=["small_disk"],
)
def test_a_demo_on_a_full_disk_says_so_and_leaves_nothing_running(
    refused: Command, small_disk: Path, backend: str
) -> None:
    line = refused("--home", str(small_disk / "home"), "demo", "--store", backend)
    assert str(small_disk) in line or "the disk of the IPFS node at http://127" in line
    assert "space" in line
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(small_disk) not in found


KUBO = pytest.mark.parametrize(
    "backend", [pytest.param("kubo", marks=pytest.mark.engine("anvil", "kubo"))], indirect=True
)


@KUBO
def test_a_study_goes_on_after_a_hospitals_node_was_killed(
    granted: World, swarm: PrivateSwarm
) -> None:
    harbor, first = granted.node("harbor"), RoundNumber(1)
    url = swarm.nodes["harbor"].api_url
    open_round(granted.center, granted.study)
    for name in kit.HOSPITALS:
        freeze(granted.node(name), granted.study, first)
    swarm.nodes["harbor"].kill()
    try:
        with pytest.raises(Unreachable, match=url):
            train(harbor, granted.study, first)
    finally:
        swarm.restart("harbor")
    for name in kit.HOSPITALS:
        train(granted.node(name), granted.study, first)
        submit(granted.node(name), granted.study, first)
    assert finalize(granted.center, granted.study, first).included == 0b111
    kit.assert_sound(granted)


@KUBO
def test_no_connection_to_the_node_outlives_a_command(
    granted: World, swarm: PrivateSwarm, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = granted.folder / "deployment.json"
    deployment.write_text(granted.deployment.to_json())
    port = int(swarm.nodes["auditor"].api_url.rsplit(":", 1)[1])
    before = _connections(port)
    outside = ("--store", swarm.nodes["auditor"].api_url, "--deployment", str(deployment))
    assert main(("study", "show", "1", "--rpc", granted.anvil.url, *outside)) == 0
    assert "Malignancy" in capsys.readouterr().out
    assert _connections(port) == before


def _connections(port: int) -> set[str]:
    """Sockets of this process that are connected to a loopback port."""
    own = {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    inodes = {link[8:-1] for link in own if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[9] in inodes and int(row[2].split(":")[1], 16) == port}
