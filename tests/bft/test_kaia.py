"""The chain's conformance suite on four real validators, and what becomes of a study's steps when
validators die: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import os
import threading
import time

import pytest

from chain.client import Client
from chain.contracts import Contracts
from chain.errors import NodeDown, TxTimeout
from chain.index import Index
from chain.indexer import Indexer
from chain.node import Node
from chain.types import Wei
from tests.bft.kaia import VALIDATORS, Network, agree, content, grows
from tests.chain.conformance import Conformance, balance, tokens
from tests.chain.kit import PATIENCE_S, Chain, RoundPath

pytestmark = pytest.mark.timeout(3600)


class TestConformance(Conformance):
    """The suite, with validator 0 as everybody's node."""


def at(network: Network, number: int, chain: Chain, name: str) -> Contracts:
    """A party whose node is one validator."""
    home = chain.home / f"{name}-{number}"
    outbox = home / "outbox.sqlite"
    client = Client(Node(network.url(number)), os.urandom(32), outbox, timeout_s=PATIENCE_S)
    return Contracts(client, chain.operator.deployment)


def test_with_two_dead_nothing_is_acknowledged_and_with_them_back_all_takes_effect_once(
    network: Network, chain: Chain
) -> None:
    party = at(network, 0, chain, "patient")
    calls = [(tokens(party).mint(party.client.address, Wei(1)), f"mint-{n}") for n in range(10)]
    party.client.send_many(calls[:3])
    network.kill(2)
    network.kill(3)
    network.until(lambda: _stands_still(network), "standstill")
    waiting = Client(Node(network.url(0)), b"\1" * 32, chain.home / "waiting.sqlite", timeout_s=6)
    with pytest.raises(TxTimeout):
        waiting.send(tokens(party).mint(waiting.address, Wei(7)), step="mint")
    network.start(2)
    network.start(3)
    grows(network, 0)
    waiting.timeout_s = PATIENCE_S
    waiting.send(tokens(party).mint(waiting.address, Wei(7)), step="mint")
    block = waiting.block_number()
    assert tokens(party).balance_of(waiting.address, block_identifier=block) == 7
    party.client.send_many(calls)
    assert balance(party) == 10
    agree(network)


def _stands_still(network: Network) -> bool:
    before = network.height(0)
    time.sleep(4)
    return network.height(0) == before


def test_all_killed_and_started_again_lose_nothing_that_was_acknowledged(
    network: Network, chain: Chain
) -> None:
    party = at(network, 1, chain, "patient")
    calls = [(tokens(party).mint(party.client.address, Wei(1)), f"mint-{n}") for n in range(30)]
    acknowledged: list[str] = []
    broken = threading.Event()

    def send() -> None:
        for call, step in calls:
            try:
                party.client.send(call, step=step)
            except (NodeDown, TxTimeout):
                broken.set()
                return
            acknowledged.append(step)

    sender = threading.Thread(target=send)
    sender.start()
    network.until(lambda: len(acknowledged) >= 3, "acknowledgement")
    for number in range(VALIDATORS):
        network.kill(number)
    sender.join()
    assert broken.is_set()
    for number in range(VALIDATORS):
        network.start(number)
    network.until(lambda: network.height(1) >= 0, "answer")
    grows(network, 1)
    node = party.client.node
    for step in acknowledged:
        entry = party.client.outbox.find(step)
        assert entry is not None
        assert node.receipt(entry.hash) is not None
    party.client.resume()
    for call, step in calls:
        party.client.send(call, step=step)
    assert balance(party) == 30
    assert node.nonce(party.client.address, block="latest") == 30
    agree(network)


def test_a_wiped_validator_learns_the_chain_again_and_an_index_goes_on_with_it(
    network: Network, chain: Chain
) -> None:
    deployment = chain.operator.deployment
    index = Index(chain.home / "index.sqlite", deployment)
    RoundPath(chain)
    agree(network)
    Indexer(Node(network.url(2)), deployment, index).catch_up()
    network.kill(2)
    network.wipe(2)
    RoundPath(chain)
    with pytest.raises(NodeDown):
        Indexer(Node(network.url(2)), deployment, index)
    network.start(2)
    agree(network)
    Indexer(Node(network.url(2)), deployment, index).catch_up()
    other = Index(chain.home / "other.sqlite", deployment)
    tip = index.tip()
    assert tip is not None
    indexer = Indexer(Node(network.url(0)), deployment, other)
    while indexer.step(tip.number).block < tip.number:
        pass
    assert content(index) == content(other)
    index.close()
    other.close()
