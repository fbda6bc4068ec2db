"""Who watches a study looks as soon as a block comes, where a WebSocket tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.cli import watching
from api.home import Home
from chain.anvil import Anvil
from tests.api.desk import Desk
from tests.chain.kit import COINS

pytestmark = pytest.mark.engine("anvil")

PASSPHRASE = "for a test alone"


@pytest.mark.parametrize("address", ["auto", "ws://127.0.0.1:1,{own}"])
def test_a_block_makes_a_watcher_look_though_its_own_time_never_comes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
) -> None:
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    monkeypatch.setattr(watching, "_LOOK_EVERY_S", 10.0**6)
    monkeypatch.setattr("chain.bell._OPEN_S", 120.0)
    dead = "127.0.0.1:1," in address
    with Anvil() as own:
        monkeypatch.setenv("CONSILIUM_WS", address.format(own=own.url))
        desk = Desk(tmp_path, own.url, capsys)
        own.fund(desk.init("operator", "operator"), COINS)
        desk.run("operator", "chain", "deploy")
        party = Home.open(tmp_path / "operator", PASSPHRASE).party(own.url)
        heights: list[int] = []
        patience = watching.Patience()

        def look() -> bool:
            party.chain.client.node.request("evm_mine")  # the block that makes it look again
            heights.append(party.head())
            return heights[-1] >= heights[0] + 3 and bool(patience._seen) >= dead

        watching.watch(party, look, patience)
        assert heights[-1] >= heights[0] + 3
        party.chain.client.outbox.close()
    assert ("wakes nobody" in capsys.readouterr().err) == dead
