"""Several addresses of one chain: one that dies, lags, lies about its chain, or stands still."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.errors import NodeDown, WrongChain
from chain.index import Index
from chain.indexer import Indexer
from chain.keccak import keccak
from chain.node import Node
from chain.types import Wei
from tests.chain.conformance import balance, tokens
from tests.chain.kit import COINS, Answer, Chain, Relay

pytestmark = pytest.mark.engine("anvil")

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def two(chain: Chain) -> Iterator[tuple[Relay, Relay]]:
    """Two ways to one chain, each of which can end."""
    with Relay(chain.anvil.url) as one, Relay(chain.anvil.url) as other:
        yield one, other


def urls(two: tuple[Relay, Relay]) -> str:
    return ",".join(relay.url for relay in two)


def party_at(chain: Chain, url: str, stuck_s: float = 60) -> Contracts:
    client = Client(Node(url), os.urandom(32), chain.home / "several" / "outbox.sqlite")
    client.sender.stuck_s = stuck_s
    chain.anvil.fund(client.address, COINS)
    return Contracts(client, chain.operator.deployment)


def test_the_next_is_asked_where_one_does_not_answer_and_stays(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    node = Node(f"{NOBODY}, {two[0].url}")
    assert node.latest() == chain.operator.client.node.latest()
    assert (node.name, node.turns) == (two[0].url, 1)
    node.latest()
    assert node.turns == 1


def test_where_none_answers_all_are_named_without_what_their_addresses_hide() -> None:
    with pytest.raises(NodeDown) as caught:
        Node(f"{NOBODY}/secret-key,http://127.0.0.1:2/?key=hidden")
    assert "127.0.0.1:1, http://127.0.0.1:2" in str(caught.value)
    assert "secret-key" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["http://user:hidden/word@host:1", "http://host:hidden"])
def test_an_address_that_cannot_be_is_refused_without_what_it_hides(wrong: str) -> None:
    with pytest.raises(NodeDown, match="the address 2 of nodes is none") as caught:
        Node(f"http://127.0.0.1:1,{wrong}")
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_another_chain_under_the_same_number_never_takes_over(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    with Anvil() as impostor:
        node = Node(f"{two[0].url},{impostor.url}")
        two[0].end()
        with pytest.raises(WrongChain):
            node.latest()


def test_one_that_is_behind_does_not_take_over_until_it_has_what_was_seen(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    asked = threading.Event()

    def behind(body: dict[str, Any], pass_on: Answer) -> Any:
        height = int(pass_on(body)["result"], 16)
        if asked.is_set():
            return {"result": hex(height)}
        asked.set()
        return {"result": hex(height - 1)}

    node = Node(urls(two))
    node.latest()
    two[1].instead["eth_blockNumber"] = behind
    two[0].end()
    block = chain.operator.client.node.latest()
    assert node.block(block).number == block
    assert asked.is_set()


def test_one_that_stays_behind_is_no_node_and_nothing_is_taken_for_lost(
    chain: Chain, two: tuple[Relay, Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain.endpoints._CATCH_UP_S", 0.3)
    party = party_at(chain, urls(two))
    receipt = party.client.send(tokens(party).mint(party.client.address, Wei(1)), step="mint")
    two[1].instead["eth_blockNumber"] = lambda *_: {"result": hex(receipt.block - 1)}
    # What it lacks would be sent again, or dropped.
    two[1].instead["eth_getTransactionReceipt"] = lambda *_: {"result": None}
    two[0].end()
    with pytest.raises(NodeDown, match="is at block"):
        party.client.resume()
    entry = party.client.outbox.find("mint")
    assert entry is not None
    assert entry.block_hash == receipt.block_hash
    del two[1].instead["eth_blockNumber"], two[1].instead["eth_getTransactionReceipt"]
    party.client.resume()
    assert balance(party) == 1


def test_what_died_with_a_node_is_sent_to_the_next_and_has_one_effect(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    party = party_at(chain, urls(two))

    def swallow(body: dict[str, Any], _pass_on: Answer) -> Any:
        two[0].end()
        return {"result": "0x" + keccak(bytes.fromhex(body["params"][0][2:])).hex()}

    two[0].instead["eth_sendRawTransaction"] = swallow
    call = tokens(party).mint(party.client.address, Wei(7))
    receipt = party.client.send(call, step="mint")
    assert party.client.send(call, step="mint") == receipt
    assert balance(party) == 7
    assert party.client.node.nonce(party.client.address, block="latest") == 1


def test_many_in_flight_as_a_node_dies_each_take_effect_once(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    party = party_at(chain, urls(two))
    passed: list[str] = []

    def some(body: dict[str, Any], pass_on: Answer) -> Any:
        if len(passed) == 5:
            two[0].end()
        passed.append(body["params"][0])
        # The answer to the sixth is lost, though it was taken.
        return pass_on(body)

    two[0].instead["eth_sendRawTransaction"] = some
    calls = [(tokens(party).mint(party.client.address, Wei(1)), f"mint-{n}") for n in range(12)]
    party.client.send_many(calls)
    party.client.send_many(calls)
    assert balance(party) == 12
    assert party.client.node.nonce(party.client.address, block="latest") == 12


def test_a_node_whose_chain_stands_still_is_left_for_one_that_goes_on(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    party = party_at(chain, urls(two), stuck_s=0.2)
    height = chain.operator.client.node.latest()
    two[0].instead = {
        "eth_sendRawTransaction": lambda body, _: {
            "result": "0x" + keccak(bytes.fromhex(body["params"][0][2:])).hex()
        },
        "eth_blockNumber": lambda *_: {"result": hex(height)},
        "evm_mine": lambda *_: {"result": "0x0"},
    }
    chain.mine(3)
    receipt = party.client.send(tokens(party).mint(party.client.address, Wei(3)), step="mint")
    assert party.client.node.name == two[1].url
    assert receipt.block > height
    assert balance(party) == 3


def test_an_index_goes_on_at_another_node_without_going_back(
    chain: Chain, two: tuple[Relay, Relay]
) -> None:
    index = Index(chain.home / "index.sqlite", chain.operator.deployment)
    indexer = Indexer(Node(urls(two)), chain.operator.deployment, index)
    indexer.catch_up()
    chain.party()
    two[0].end()
    progress = indexer.catch_up()
    assert (progress.rewound, progress.is_done) == (0, True)
    assert index.tip() is not None
    index.close()
