"""Who signs for a party: a key in this process, or a Web3Signer that keeps it.

Web3Signer's eth1 REST API signs keccak256 of the bytes that it is sent, with a key that is named by
its public key. It is trusted with the key and with nothing else: what it answers is a signature by
the account expected, or it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_utils.address import to_checksum_address

from chain.errors import BadKey, BadSignature, SignerDown
from chain.keccak import keccak
from chain.rpc import without_credentials
from chain.typed_data import Domain, Message, recover_bytes
from chain.typed_data import sign as sign_with
from chain.types import Address

_TIMEOUT_S = 30
_DYNAMIC_FEE = b"\x02"  # EIP-2718's type of EIP-1559's transactions


class Signer(Protocol):
    """Signs for one account."""

    @property
    def address(self) -> Address:
        """The account."""

    def sign(self, transaction: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """The signed transaction's bytes and its hash (32 bytes). Raises KeyFailure."""

    def sign_message(self, message: Message, domain: Domain) -> bytes:
        """What `typed_data.sign` gives. Raises KeyFailure."""


class KeySigner:
    """A private key in this process's memory."""

    def __init__(self, key: bytes) -> None:
        """Raises BadKey."""
        try:
            self._account = Account.from_key(key)
        except ValueError as exc:
            raise BadKey("not a private key of 32 bytes: give another") from exc
        self._key = key
        self.address = Address(self._account.address)

    def sign(self, transaction: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """See `Signer`."""
        signed = self._account.sign_transaction(dict(transaction))
        return bytes(signed.raw_transaction), bytes(signed.hash)

    def sign_message(self, message: Message, domain: Domain) -> bytes:
        """See `Signer`."""
        return sign_with(self._key, message, domain)


class Web3Signer:
    """The key of one account that a Web3Signer keeps."""

    def __init__(self, url: str, address: Address, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Raises SignerDown, or BadKey where it keeps no key of that account."""
        self.address = address
        self._url, self._timeout_s = url.rstrip("/"), timeout_s
        self._name = _name_of(url)
        self._session = requests.Session()
        keys = {_account_of(key): key for key in self._public_keys()}
        if address not in keys:
            raise BadKey(f"{self._name} keeps no key of {address}: load it there, or name another")
        self._key = keys[address]

    def sign(self, transaction: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """See `Signer`; raises SignerDown, BadSignature."""
        kind, fields, tail = _fields(transaction)
        content = kind + rlp.encode([*fields, *tail])
        signature = self._signature(content)
        r, s = (int.from_bytes(signature[place : place + 32], "big") for place in (0, 32))
        parity = signature[64] - 27
        v = parity if kind else parity + 35 + 2 * int(transaction["chainId"])  # EIP-155
        raw = kind + rlp.encode([*fields, *map(_number, (v, r, s))])
        return raw, keccak(raw)

    def sign_message(self, message: Message, domain: Domain) -> bytes:
        """See `Signer`; raises SignerDown, BadSignature."""
        return self._signature(message.encoded(domain))

    def _signature(self, content: bytes) -> bytes:
        path = f"/api/v1/eth1/sign/{self._key}"
        text = self._asked("POST", path, {"data": "0x" + content.hex()}).text.strip().strip('"')
        try:
            signature = bytes.fromhex(text.removeprefix("0x"))
            signer = Address(to_checksum_address(recover_bytes(signature, keccak(content))))
        except ValueError as exc:
            raise BadSignature(f"{self._name} answers no signature: check that it runs") from exc
        if signer != self.address:
            raise BadSignature(
                f"{self._name} signed with another key than {self.address}'s: correct its keys"
            )
        return signature

    def _public_keys(self) -> list[str]:
        answer = self._asked("GET", "/api/v1/eth1/publicKeys")
        try:
            found = answer.json()
            if not isinstance(found, list):
                raise ValueError("no list")
            return [str(key) for key in found]
        except ValueError as exc:
            raise SignerDown(f"{self._name} is no Web3Signer: correct the address") from exc

    def _asked(self, method: str, path: str, body: Any = None) -> requests.Response:
        try:
            answer = self._session.request(
                method, self._url + path, json=body, timeout=self._timeout_s, allow_redirects=False
            )
        except (requests.RequestException, OSError) as exc:
            raise SignerDown(
                f"no Web3Signer answers at {self._name}: start it, or correct the address"
            ) from exc
        if answer.status_code != 200:
            raise SignerDown(
                f"{self._name} refuses to sign for {self.address} (HTTP {answer.status_code}): "
                "check its log, and that the key is loaded"
            )
        return answer


def _name_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # whose text may hold a piece of a password
        sound = False
    if not sound:
        raise SignerDown(
            "the Web3Signer's address is none: give http://host:port, with %2F for a / in a "
            "password"
        )
    return without_credentials(url)


def _account_of(public_key: str) -> Address | None:
    """The account of an uncompressed key, with or without its first byte; None for any other."""
    try:
        key = bytes.fromhex(public_key.removeprefix("0x"))
    except ValueError:
        return None
    if len(key) == 65 and key[0] == 4:
        key = key[1:]
    return Address(to_checksum_address(keccak(key)[12:])) if len(key) == 64 else None


def _fields(transaction: Mapping[str, Any]) -> tuple[bytes, list[Any], list[Any]]:
    """The type, the fields before the signature, and what is signed in its place (EIP-155)."""
    chain, nonce, gas = (_number(int(transaction[x])) for x in ("chainId", "nonce", "gas"))
    to = bytes.fromhex(transaction["to"][2:]) if transaction.get("to") else b""
    rest = [gas, to, _number(int(transaction["value"])), bytes(transaction["data"])]
    if "maxFeePerGas" in transaction:
        fees = [transaction["maxPriorityFeePerGas"], transaction["maxFeePerGas"]]
        return _DYNAMIC_FEE, [chain, nonce, *map(_number, fees), *rest, []], []
    price = _number(int(transaction["gasPrice"]))
    return b"", [nonce, price, *rest], [chain, b"", b""]


def _number(value: int) -> bytes:
    """As RLP writes one: without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
