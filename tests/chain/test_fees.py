"""A transaction that offers too little is signed again at its nonce; one of them takes effect."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chain.anvil import Anvil
from chain.client import Client
from chain.clock import Clock
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.errors import TxTimeout
from chain.node import Node
from chain.rpc import request
from chain.sender import decoded
from chain.types import Call, Wei
from tests.chain.conformance import balance, tokens
from tests.chain.kit import COINS, PATIENCE_S, Chain, Relay

pytestmark = pytest.mark.engine("anvil")

DEAR = 10**11


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A chain of the test's own, whose blocks come when it asks."""
    with Anvil() as anvil:
        client = Client(Node(anvil.url), os.urandom(32), tmp_path / "operator.sqlite")
        anvil.fund(client.address, 10 * COINS)
        yield Chain(anvil, Contracts(client, deploy(client, token=True)), tmp_path)


def mint(party: Contracts, amount: int) -> Call:
    return tokens(party).mint(party.client.address, Wei(amount))


def becomes_dear(chain: Chain) -> None:
    """Once a transaction waits, there is a block without it that asks more than it offers."""
    end = time.monotonic() + PATIENCE_S
    while int(request(chain.anvil.url, "txpool_status")["pending"], 16) < 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    request(chain.anvil.url, "anvil_setNextBlockBaseFeePerGas", hex(DEAR))
    request(chain.anvil.url, "evm_mine")


def test_a_stuck_transaction_is_replaced_and_its_step_has_one_effect(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear, nudge = threading.Event(), Clock.nudge
    # Whoever waits has it mined after a second: not before it became dear.
    monkeypatch.setattr(Clock, "nudge", lambda clock: dear.is_set() and nudge(clock))
    party = chain.party()
    party.client.sender.stuck_s = 0.2
    chain.automine(False)
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(party.client.send, mint(party, 7), step="mint")
        becomes_dear(chain)
        dear.set()
        receipt = first.result()
    entry = party.client.outbox.find("mint")
    assert entry is not None
    assert entry.earlier
    assert receipt.transaction in entry.hashes
    assert decoded(entry.raw)["maxFeePerGas"] > DEAR // 2
    assert party.client.send(mint(party, 7), step="mint") == receipt
    assert balance(party) == 7
    assert party.client.node.nonce(party.client.address, block="latest") == 1


def test_where_the_first_of_two_is_mined_after_all_the_step_is_done(chain: Chain) -> None:
    party = chain.party()
    chain.automine(False)
    with Relay(chain.anvil.url) as relay:
        home = chain.home / "late"
        client = Client(Node(relay.url), os.urandom(32), home / "outbox.sqlite", timeout_s=1)
        chain.anvil.fund(client.address, COINS)
        late = Contracts(client, chain.operator.deployment)

        def deaf(body: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
            return {"error": {"code": -32000, "message": "replacement transaction underpriced"}}

        relay.instead["evm_mine"] = lambda body, ask: {"result": "0x0"}
        with ThreadPoolExecutor(1) as workers:
            waiting = workers.submit(client.send, mint(late, 7), step="mint")
            becomes_dear(chain)
        with pytest.raises(TxTimeout):
            waiting.result()
        first = client.outbox.find("mint")
        assert first is not None
        relay.instead["eth_sendRawTransaction"] = deaf
        assert client.sender.raise_fees() == ["mint"]
        relay.instead.clear()
        request(chain.anvil.url, "anvil_setNextBlockBaseFeePerGas", hex(1))
        request(chain.anvil.url, "eth_sendRawTransaction", "0x" + first.raw.hex())
        request(chain.anvil.url, "evm_mine")
        receipt = client.send(mint(late, 7), step="mint")
        assert receipt.transaction == first.hash
        assert balance(late) == 7
    assert balance(party) == 0


def test_what_offers_enough_is_left_alone(chain: Chain) -> None:
    party = chain.party()
    party.client.send(mint(party, 7), step="mint")
    chain.automine(False)
    entry = party.client.sender.push(mint(party, 8), "another")
    assert party.client.sender.raise_fees() == []
    assert party.client.outbox.find("another") == entry
