"""`make test-bft` runs these in a network of their own; elsewhere they are no tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment, deploy
from chain.node import Node
from tests.bft.kaia import Network, has_own_network
from tests.chain.engines import GivenNode
from tests.chain.kit import Chain
from tests.tooling.kit import ROOT, load

if os.environ.get("CONSILIUM_BFT") != "1":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    assert has_own_network(), "Kaia listens on every address: run `make test-bft`"
    programs = load(ROOT / "tools" / "engine_kaia.py").folder()
    with Network(programs, tmp_path_factory.mktemp("kaia")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Client, Deployment]:
    home = tmp_path_factory.mktemp("operator")
    client = Client(Node(network.url(0)), os.urandom(32), home / "outbox.sqlite")
    return client, deploy(client, token=True, delay_s=0)


@pytest.fixture
def chain(network: Network, deployed: tuple[Client, Deployment], tmp_path: Path) -> Chain:
    """Gas costs nothing, and the operator's node is never killed for good."""
    return Chain(GivenNode(network.url(0), None, tmp_path), Contracts(*deployed), tmp_path)
