"""A WebSocket only wakes: one that dies, lies, stalls or floods costs a look, and loses nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from chain.anvil import Anvil
from chain.bell import QUANTUM_S, Bell, sockets_of
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.errors import BadSocket
from chain.index import Index
from chain.indexer import Indexer
from chain.node import Node
from chain.rpc import request
from tests.chain.kit import COINS, Chain, own_port

NOBODY = "ws://127.0.0.1:1"
LONG_S = 120.0
"""Nobody waits so long where a wake-up works."""

Behaviour = Callable[[ServerConnection], None]


@pytest.fixture
def own() -> Iterator[Anvil]:
    """A chain that makes a block only when told."""
    with Anvil() as node:
        yield node


@pytest.fixture
def port() -> Iterator[int]:
    with own_port() as found:
        yield found


@contextmanager
def socket(behaviour: Behaviour, **options: Any) -> Iterator[str]:
    """A server of WebSockets that behaves in this way; its address."""

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            behaviour(connection)

    with serve(handle, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def until_closed(connection: ServerConnection) -> None:
    while True:
        connection.recv()


def listens(bell: Bell, url: str) -> None:
    """Returns once a block at this node wakes; the answer to the subscription did so before."""
    end = time.monotonic() + LONG_S
    while not bell.wait(1):
        assert time.monotonic() < end, "nothing ever wakes"
        request(url, "evm_mine")
    while bell.wait(1):
        pass


@pytest.mark.engine("anvil")
def test_a_block_wakes_who_would_have_slept_on(own: Anvil) -> None:
    with Bell(sockets_of(own.url)) as bell:
        listens(bell, own.url)
        for _ in range(3):
            request(own.url, "evm_mine")
            assert bell.wait(LONG_S)


@pytest.mark.engine("anvil")
def test_an_index_follows_blocks_without_its_own_time_ever_coming(
    own: Anvil, tmp_path: Path
) -> None:
    client = Client(Node(own.url), os.urandom(32), tmp_path / "operator.sqlite")
    own.fund(client.address, COINS)
    chain = Chain(own, Contracts(client, deploy(client, token=True)), tmp_path)
    index = Index(tmp_path / "index.sqlite", chain.operator.deployment)
    indexer = Indexer(Node(own.url), chain.operator.deployment, index)
    with Bell(sockets_of(own.url)) as bell:
        listens(bell, own.url)
        steps = indexer.follow(poll_s=10**6, pause=bell.wait)
        for _ in range(3):
            chain.mine()
            wanted = client.block_number()
            assert next(step for step in steps if step.block >= wanted)
    index.close()


@pytest.mark.engine("anvil")
def test_a_node_that_dies_and_comes_back_wakes_again(port: int, tmp_path: Path) -> None:
    state = tmp_path / "state.json.gz"
    said: list[str] = []
    with Anvil(state, port=port) as first:
        bell = Bell(sockets_of(first.url), said.append)
        bell.__enter__()
        listens(bell, first.url)
    try:
        while bell.wait(1):
            pass
        with Anvil(state, port=port) as second:
            assert second.url == first.url
            listens(bell, second.url)
            request(second.url, "evm_mine")
            assert bell.wait(LONG_S)
    finally:
        bell.__exit__(None, None, None)
    assert said
    assert "wakes nobody" in said[0]


@pytest.mark.engine("anvil")
def test_of_several_nodes_any_one_wakes(own: Anvil) -> None:
    with socket(until_closed) as silent, Bell([NOBODY, silent, *sockets_of(own.url)]) as bell:
        listens(bell, own.url)
        request(own.url, "evm_mine")
        assert bell.wait(LONG_S)


def repeat(message: Any) -> Behaviour:
    def behaviour(connection: ServerConnection) -> None:
        for _ in range(50):
            connection.send(message)
            time.sleep(0.01)

    return behaviour


LIES: dict[str, Behaviour] = {
    "no JSON": repeat("}{"),
    "no text": repeat(b"\xff\xfe"),
    "a block of the far future": repeat('{"params":{"result":{"number":"0xffffffffffff"}}}'),
    "a block without end": repeat("x" * (1 << 20)),
    "nested without end": repeat("[" * 60_000),
    "closing at once": lambda connection: connection.close(),
    "silence": until_closed,
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.engine("anvil")
def test_whatever_a_socket_says_the_index_is_the_nodes(
    chain: Chain, tmp_path: Path, lie: str
) -> None:
    index = Index(tmp_path / "index.sqlite", chain.operator.deployment)
    indexer = Indexer(Node(chain.anvil.url), chain.operator.deployment, index)
    with socket(LIES[lie]) as url, Bell([url]) as bell:
        steps = indexer.follow(poll_s=0.2, pause=bell.wait)
        for _ in range(2):
            chain.mine()
            wanted = chain.operator.client.block_number()
            assert next(step for step in steps if step.block >= wanted)
    index.close()
    other = Index(tmp_path / "other.sqlite", chain.operator.deployment)
    Indexer(Node(chain.anvil.url), chain.operator.deployment, other).catch_up()
    assert index.counts() == other.counts()
    other.close()


def test_a_flood_wakes_at_most_once_in_a_while_and_is_cut_off() -> None:
    cut, said = threading.Event(), []

    def flood(connection: ServerConnection) -> None:
        try:
            while True:
                connection.send("x" * 100)
        finally:
            cut.set()

    with socket(flood) as url, Bell([url], said.append) as bell:
        began, looks = time.monotonic(), 0
        while not (cut.is_set() and said):
            bell.wait(0.5)
            looks += 1
            assert time.monotonic() - began < LONG_S
        assert looks <= (time.monotonic() - began) / QUANTUM_S + 1
    assert any("flood" in line for line in said)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "host:1", "ftp://someone:hidden-word@host/path-key", "ws://", "ws://host:0"),
        *("ws://someone:hidden-word/x@host:1", "ws://host:hidden-word", "ws://[::1"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_what_it_hides(wrong: str) -> None:
    assert sockets_of("http://a:1/x, wss://b,ws://b") == ["ws://a:1/x", "wss://b", "ws://b"]
    with pytest.raises(BadSocket, match="the address 2 of WebSockets is none") as caught:
        sockets_of(f"ws://a,{wrong}")
    assert "hidden-word" not in str(caught.value)
    assert "path-key" not in str(caught.value)


def test_no_secret_of_an_address_is_in_a_warning() -> None:
    said: list[str] = []
    with Bell(["ws://someone:hidden-word@127.0.0.1:1/path-key"], said.append) as bell:
        end = time.monotonic() + LONG_S
        while not said:
            bell.wait(0.1)
            assert time.monotonic() < end
    assert "127.0.0.1:1" in said[0]
    assert "hidden-word" not in said[0]
    assert "path-key" not in said[0]


def test_a_proxy_that_cannot_be_used_is_told_and_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What SOCKS takes is not among the packages of this project."""
    monkeypatch.setenv("ws_proxy", "socks5://someone:hidden-word@127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    with Bell(["ws://node.example:1/path-key"], said.append) as bell:
        end = time.monotonic() + LONG_S
        while len(said) < 2:  # tried again, too
            bell.wait(0.1)
            assert time.monotonic() < end
    assert "python-socks" in said[0]
    assert "hidden-word" not in said[0]
    assert "path-key" not in said[0]
