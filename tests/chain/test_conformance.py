"""The conformance suite on the development chains, and on any node that CONSILIUM_RPC names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment, deploy
from chain.node import Node
from tests.chain.conformance import Conformance
from tests.chain.engines import GivenNode, HardhatNode
from tests.chain.kit import COINS, Chain, Engine
from tests.chain.py_evm import PyEvm


class OnAnEngine(Conformance):
    """One deployment for the suite; each test has parties of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(
        cls, engine: Engine, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Client, Deployment]:
        home = tmp_path_factory.mktemp("operator")
        client = Client(Node(engine.url), os.urandom(32), home / "outbox.sqlite")
        engine.fund(client.address, 10 * COINS)
        return client, deploy(client, token=True, delay_s=0)

    @pytest.fixture
    def chain(self, engine: Engine, deployed: tuple[Client, Deployment], tmp_path: Path) -> Chain:
        return Chain(engine, Contracts(*deployed), tmp_path)


@pytest.mark.engine("anvil")
class TestAnvil(OnAnEngine):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        with Anvil() as node:
            yield node


@pytest.mark.engine("hardhat")
class TestHardhat(OnAnEngine):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        with HardhatNode() as node:
            yield node


class TestPyEvm(OnAnEngine):
    """An EVM written in Python, which shares no line with the others."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        with PyEvm() as node:
            yield node


@pytest.mark.skipif("CONSILIUM_RPC" not in os.environ, reason="CONSILIUM_RPC names no node")
class TestGiven(OnAnEngine):
    """`make test-chain`; CONSILIUM_RPC_KEY_FILE names the file of a key with coins."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Engine:
        file = os.environ.get("CONSILIUM_RPC_KEY_FILE")
        key = bytes.fromhex(Path(file).read_text().strip().removeprefix("0x")) if file else None
        return GivenNode(os.environ["CONSILIUM_RPC"], key, tmp_path_factory.mktemp("bank"))
