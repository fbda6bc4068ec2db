"""An external signer, by Web3Signer's HTTP contract: its key signs, and its lies are refused."""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from chain.client import Client
from chain.contracts import Contracts
from chain.errors import BadKey, BadSignature, SignerDown
from chain.keys import address_of
from chain.node import Node
from chain.signer import KeySigner, Web3Signer
from chain.typed_data import Domain, Revoke, sign
from chain.types import ConsentId, Wei
from tests.chain.conformance import balance, tokens
from tests.chain.kit import COINS, Chain


class Server:
    """What Web3Signer's eth1 mode answers, with other software's signatures."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = {PrivateKey(key).public_key.to_hex(): PrivateKey(key) for key in keys}
        self.instead: tuple[int, str] | None = None
        self.signs_with: PrivateKey | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/api/v1/eth1/publicKeys"
                self.answer(200 if found else 404, json.dumps(list(outer.keys)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                start, _, name = self.path.rpartition("/")
                if start != "/api/v1/eth1/sign" or name not in outer.keys:
                    self.answer(404, "")
                    return
                key = outer.signs_with or outer.keys[name]
                signed = key.sign_msg(bytes.fromhex(body["data"][2:])).to_bytes()
                self.answer(200, "0x" + (signed[:64] + bytes([27 + signed[64]])).hex())

            def answer(self, status: int, text: str) -> None:
                status, text = outer.instead or (status, text)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def key() -> bytes:
    return os.urandom(32)


@pytest.fixture
def server(key: bytes) -> Iterator[Server]:
    found = Server(os.urandom(32), key)
    threading.Thread(target=found.http.serve_forever, daemon=True).start()
    yield found
    found.http.shutdown()
    found.http.server_close()


COMMON = {"chainId": 31337, "nonce": 0, "gas": 21_000, "value": 5, "data": b"\0\1"}
TRANSACTIONS: dict[str, dict[str, Any]] = {
    "dynamic": {**COMMON, "to": "0x" + "11" * 20, "maxFeePerGas": 9, "maxPriorityFeePerGas": 0},
    "dynamic, creating": {**COMMON, "maxFeePerGas": 2**70, "maxPriorityFeePerGas": 1},
    "of old": {**COMMON, "to": "0x" + "11" * 20, "gasPrice": 7, "nonce": 300},
    "of old, creating": {**COMMON, "gasPrice": 0, "data": b"\x60" * 300},
}


@pytest.mark.parametrize("kind", TRANSACTIONS)
def test_it_signs_what_eth_account_signs(server: Server, key: bytes, kind: str) -> None:
    signer = Web3Signer(server.url, address_of(key))
    raw, digest = signer.sign(TRANSACTIONS[kind])
    assert (raw, digest) == KeySigner(key).sign(TRANSACTIONS[kind])
    assert Account.recover_transaction(raw) == address_of(key)


def test_it_signs_a_message_as_the_key_itself_does(server: Server, key: bytes) -> None:
    signer = Web3Signer(server.url, address_of(key))
    message, domain = Revoke(ConsentId(b"\5" * 32), 9), Domain(31337, address_of(os.urandom(32)))
    signature = signer.sign_message(message, domain)
    assert signature == KeySigner(key).sign_message(message, domain) == sign(key, message, domain)
    server.signs_with = PrivateKey(os.urandom(32))
    with pytest.raises(BadSignature, match="another key"):
        signer.sign_message(message, domain)


@pytest.mark.engine("anvil")
def test_a_party_sends_without_ever_having_its_key(
    chain: Chain, server: Server, key: bytes, tmp_path: Path
) -> None:
    signer = Web3Signer(server.url, address_of(key))
    client = Client(Node(chain.anvil.url), signer, tmp_path / "outbox.sqlite")
    chain.anvil.fund(client.address, COINS)
    party = Contracts(client, chain.operator.deployment)
    client.send(tokens(party).mint(client.address, Wei(7)), step="mint")
    assert balance(party) == 7


def test_a_signature_by_another_key_is_refused(server: Server, key: bytes) -> None:
    signer = Web3Signer(server.url, address_of(key))
    server.signs_with = PrivateKey(os.urandom(32))
    with pytest.raises(BadSignature, match="another key"):
        signer.sign(TRANSACTIONS["dynamic"])


@pytest.mark.parametrize(
    "text", ["", "0x", "0x1234", "zz", "0x" + "00" * 65, "0x" + "ff" * 65, "<html>"]
)
def test_an_answer_that_is_no_signature_is_refused(server: Server, key: bytes, text: str) -> None:
    signer = Web3Signer(server.url, address_of(key))
    server.instead = (200, text)
    with pytest.raises(BadSignature):
        signer.sign(TRANSACTIONS["dynamic"])


def test_a_signer_that_is_away_or_refuses_is_named(server: Server, key: bytes) -> None:
    signer = Web3Signer(server.url, address_of(key))
    server.instead = (404, "")
    with pytest.raises(SignerDown, match="HTTP 404"):
        signer.sign(TRANSACTIONS["dynamic"])
    server.instead = (200, "{}")
    with pytest.raises(SignerDown, match="no Web3Signer"):
        Web3Signer(server.url, address_of(key))
    with pytest.raises(SignerDown, match="start it"):
        Web3Signer("http://127.0.0.1:1", address_of(key))


def test_a_key_that_it_does_not_keep_is_refused(server: Server) -> None:
    with pytest.raises(BadKey, match="keeps no key"):
        Web3Signer(server.url, address_of(os.urandom(32)))


def test_no_secret_of_its_address_is_in_a_message(key: bytes) -> None:
    with pytest.raises(SignerDown) as caught:
        Web3Signer("http://someone:hidden-word@127.0.0.1:1/path-key", address_of(key))
    assert "hidden-word" not in str(caught.value)
    assert "path-key" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "host:9000", "ftp://host", "http://", "http://host:0", "http://[::1"),
        *("http://user:hidden/word@host:9000", "http://host:hidden"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_what_it_hides(wrong: str, key: bytes) -> None:
    with pytest.raises(SignerDown, match="address is none: give http://host:port") as caught:
        Web3Signer(wrong, address_of(key))
    shown = "".join(traceback.format_exception(caught.value))
    assert "hidden" not in shown
