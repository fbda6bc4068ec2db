"""`consilium chain index` over a real chain."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.cli.main import main
from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.node import Node
from chain.participants import Role
from tests.chain.kit import COINS, Chain, RoundPath

pytestmark = pytest.mark.engine("anvil")

ROOT = Path(__file__).resolve().parents[2]


def _heed_interrupts() -> None:
    """A shell's job in the background ignores them, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_an_index_is_woken_by_the_nodes_own_socket_and_ends_when_told(tmp_path: Path) -> None:
    with Anvil() as anvil:
        client = Client(Node(anvil.url), os.urandom(32), tmp_path / "operator.sqlite")
        anvil.fund(client.address, 10 * COINS)
        chain = Chain(anvil, Contracts(client, deploy(client, token=True)), tmp_path)
        deployment = tmp_path / "deployment.json"
        deployment.write_text(chain.operator.deployment.to_json())
        never = ["--follow", "--every", "1000000", "--ws", "auto"]
        command = ["--rpc", anvil.url, "chain", "index", str(tmp_path / "events.sqlite")]
        command += ["--deployment", str(deployment), *never]
        child = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", *command],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            preexec_fn=_heed_interrupts,
        )
        assert child.stdout is not None
        with child.stdout as said:
            try:
                assert b"events more" in said.readline()
                end = time.monotonic() + 600
                while not select.select([said], [], [], 1)[0]:  # until the socket is open
                    assert time.monotonic() < end, "nothing wakes it"
                    chain.party(Role.HOSPITAL)
                assert b"events more" in said.readline()
                child.send_signal(signal.SIGINT)
                assert child.wait(600) == 0
            finally:
                child.kill()  # what outlives its test would fail others
                child.wait()


def test_a_socket_that_cannot_be_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Anvil() as anvil:
        client = Client(Node(anvil.url), os.urandom(32), tmp_path / "operator.sqlite")
        anvil.fund(client.address, 10 * COINS)
        deployment = tmp_path / "deployment.json"
        deployment.write_text(deploy(client).to_json())
        command = ["--rpc", anvil.url, "chain", "index", str(tmp_path / "events.sqlite")]
        command += ["--deployment", str(deployment), "--follow"]
        monkeypatch.setenv("CONSILIUM_WS", "nowhere/hidden-word")
        assert main(command) == 1
    error = capsys.readouterr().err
    assert "of WebSockets is none" in error
    assert "hidden-word" not in error


def test_an_index_is_made_with_progress_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Anvil() as anvil:
        client = Client(Node(anvil.url), os.urandom(32), tmp_path / "operator.sqlite")
        anvil.fund(client.address, 10 * COINS)
        chain = Chain(anvil, Contracts(client, deploy(client, token=True)), tmp_path)
        deployment = tmp_path / "deployment.json"
        deployment.write_text(chain.operator.deployment.to_json())
        path = tmp_path / "events.sqlite"
        command = ["--rpc", anvil.url, "chain", "index", str(path), "--deployment", str(deployment)]
        assert main(command) == 0
        height = client.block_number()
        assert f"block {height} of {height}: " in capsys.readouterr().out
        RoundPath(chain)
        assert main(command) == 0
        assert main(command) == 0
        assert capsys.readouterr().out.endswith(": 0 events more\n")
    with sqlite3.connect(path) as database:
        (found,) = database.execute("SELECT count(*) FROM consents WHERE revoked IS NULL")
    assert found == (3,)
    assert main(["--rpc", "http://127.0.0.1:1", *command[2:]]) == 1
    assert "no node answers" in capsys.readouterr().err
