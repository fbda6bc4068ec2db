"""One anvil and one deployment for the run; each test has parties, keys and outboxes of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import MINTABLE, Deployment, deploy
from chain.node import Node
from tests.chain.kit import Chain, Relay

COINS = 10**21


@pytest.fixture(scope="session")
def anvil() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


@pytest.fixture(scope="session")
def operator(anvil: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Client:
    key = os.urandom(32)
    client = Client(Node(anvil.url), key, tmp_path_factory.mktemp("operator") / "outbox.sqlite")
    anvil.fund(client.address, COINS)
    return client


@pytest.fixture(scope="session")
def deployment(operator: Client) -> Deployment:
    return deploy(operator, token=True)


@pytest.fixture
def chain(anvil: Anvil, operator: Client, deployment: Deployment, tmp_path: Path) -> Chain:
    return Chain(anvil, Contracts(operator, deployment), tmp_path)


@pytest.fixture
def token(chain: Chain) -> str:
    return chain.operator.deployment.address_of(MINTABLE)


@pytest.fixture
def relay(anvil: Anvil) -> Iterator[Relay]:
    """A server between us and anvil that can answer for it."""
    with Relay(anvil.url) as server:
        yield server
