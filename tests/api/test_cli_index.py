"""`consilium chain index` over a real chain."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from api.cli.main import main
from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.node import Node
from tests.chain.kit import COINS, Chain, RoundPath

pytestmark = pytest.mark.engine("anvil")


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
