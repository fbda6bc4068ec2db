"""The chain's conformance suite on four real validators, and what becomes of a study's steps when
validators die: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment, deploy
from chain.errors import NodeDown, TxTimeout
from chain.index import Index
from chain.indexer import Indexer
from chain.node import Node
from chain.types import BlockNumber, Wei
from tests.bft.kaia import VALIDATORS, Network, has_own_network
from tests.chain.conformance import Conformance, balance, tokens
from tests.chain.engines import GivenNode
from tests.chain.kit import Chain, RoundPath
from tests.tooling.kit import ROOT, load

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    assert has_own_network(), "Kaia listens on every address: run `make test-bft`"
    programs = load(ROOT / "tools" / "engine_kaia.py").folder()
    with Network(programs, tmp_path_factory.mktemp("kaia")) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Client, Deployment]:
    home = tmp_path_factory.mktemp("operator")
    client = Client(Node(network.url(0)), os.urandom(32), home / "outbox.sqlite")
    return client, deploy(client, token=True)


@pytest.fixture
def chain(network: Network, deployed: tuple[Client, Deployment], tmp_path: Path) -> Chain:
    """Gas costs nothing, and the operator's node is never killed for good."""
    return Chain(GivenNode(network.url(0), None, tmp_path), Contracts(*deployed), tmp_path)


class TestConformance(Conformance):
    """The suite, with validator 0 as everybody's node."""


def at(network: Network, number: int, chain: Chain, name: str) -> Contracts:
    """A party whose node is one validator."""
    home = chain.home / f"{name}-{number}"
    client = Client(Node(network.url(number)), os.urandom(32), home / "outbox.sqlite", timeout_s=60)
    return Contracts(client, chain.operator.deployment)


def grows(network: Network, number: int, blocks: int = 2) -> None:
    wanted = network.height(number) + blocks
    network.until(lambda: network.height(number) >= wanted, f"block {wanted} at {number}")


def agree(network: Network) -> None:
    """Every validator has every other's blocks."""
    network.until(lambda: min(map(network.height, range(VALIDATORS))) >= 0, "answer of all")
    wanted = max(map(network.height, range(VALIDATORS)))
    network.until(
        lambda: min(map(network.height, range(VALIDATORS))) >= wanted, f"block {wanted} everywhere"
    )
    hashes = {Node(network.url(n)).block(BlockNumber(wanted)).hash for n in range(VALIDATORS)}
    assert len(hashes) == 1


def content(index: Index) -> dict[str, list[tuple[object, ...]]]:
    with index.begin() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in index.metadata.sorted_tables
        }


def test_a_round_goes_on_while_one_validator_of_four_is_dead(
    network: Network, chain: Chain
) -> None:
    path = RoundPath(chain, submitted=False)
    path.hospital.client.send(path.hospital.rounds.freeze(path.make_freeze()), step="freeze")
    network.kill(3)
    path.hospital.client.send(path.submission(), step="submit")
    block = path.center.client.block_number()
    found = path.center.rounds.round(path.study, path.round, block_identifier=block)
    assert (found.frozen, found.submitted) == (1, 1)
    network.start(3)
    agree(network)
    again = at(network, 3, chain, "witness")
    seen = again.rounds.round(path.study, path.round, block_identifier=block)
    assert seen == found


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
    waiting.timeout_s = 60
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
