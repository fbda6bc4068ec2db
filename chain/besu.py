"""Files of a Besu network under QBFT: genesis, static nodes, node permissioning. Pure.

Formats are Besu's (26.3): `extraData` is RLP([vanity, [validators], vote, round, [seals]]). No
account is permissioned, ever: that would lock out a patient's fresh key, and whoever kept the list
could refuse a withdrawal. Gas costs nothing, so what bounds who may send is who reaches a node.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import coincurve
import rlp  # type: ignore[import-untyped]
from eth_utils.address import to_checksum_address

from chain.errors import BadNetwork
from chain.keccak import keccak
from chain.types import Address

LEAST = 4  # validators: of fewer, none may lie
BLOCK_S, ROUND_S, EPOCH_BLOCKS = 1, 4, 30_000
GAS_LIMIT = 60_000_000  # three of the largest transactions that EIP-7825 lets pass
P2P_PORT = 30303
_MIX_HASH = "0x" + b"ctical byzantine fault tolerance".hex()
_ENODE = re.compile(r"enode://([0-9a-f]{128})@([0-9.]+):(\d{1,5})")
_LARGEST_CHAIN_ID = (1 << 53) - 1  # what every reader of JSON keeps exactly


@dataclass(frozen=True, slots=True)
class Validator:
    """A node that seals blocks: its public key (64 bytes), and where others reach it."""

    public_key: bytes
    host: str
    port: int = P2P_PORT

    @classmethod
    def of_key(cls, key: bytes, host: str, port: int = P2P_PORT) -> Self:
        """The validator of a private key (32 bytes). Raises BadNetwork."""
        try:
            public = coincurve.PrivateKey(key).public_key.format(compressed=False)[1:]
        except ValueError as exc:
            raise BadNetwork("a validator's key is no key of secp256k1: make a new one") from exc
        return cls.parse(f"enode://{public.hex()}@{host}:{port}")

    @classmethod
    def parse(cls, enode: str) -> Self:
        """The validator of an enode URL. Raises BadNetwork.

        Names are refused: Besu resolves them only by an experimental option, and who then answers
        for the name decides whom a node talks to.
        """
        found = _ENODE.fullmatch(enode.strip())
        try:
            if found is None:
                raise ValueError
            public = bytes.fromhex(found[1])
            coincurve.PublicKey(b"\4" + public)
            host, port = str(ipaddress.IPv4Address(found[2])), int(found[3])
            if not 0 < port < 1 << 16:
                raise ValueError
        except ValueError as exc:
            raise BadNetwork(
                f"{enode.strip()[:40]}… is no address of a node: give "
                "enode://PUBLIC-KEY@IPv4:PORT, as `consilium chain validator` printed it"
            ) from exc
        return cls(public, host, port)

    @property
    def address(self) -> Address:
        """The account under which it is a validator."""
        return Address(to_checksum_address(keccak(self.public_key)[12:]))

    @property
    def enode(self) -> str:
        """Its address among nodes."""
        return f"enode://{self.public_key.hex()}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Vote:
    """A proposer's vote, as a block carries it: to add a validator, or to drop it."""

    subject: Address
    add: bool


def extra_data(
    validators: Sequence[Address],
    *,
    vanity: bytes = bytes(32),
    vote: Vote | None = None,
    round_number: int = 0,
    seals: Sequence[bytes] = (),
) -> bytes:
    """The header's `extraData` under QBFT; validators as given (Besu: in ascending order)."""
    voted = [] if vote is None else [_raw(vote.subject), b"\xff" if vote.add else b""]
    encoded: bytes = rlp.encode(
        [vanity, [_raw(item) for item in validators], voted, round_number, list(seals)]
    )
    return encoded


def genesis(validators: Sequence[Validator], chain_id: int) -> dict[str, Any]:
    """The first block and the rules of the chain, up to Cancun. Raises BadNetwork.

    No account holds coins: gas is free from the first block on.
    """
    _check(validators, chain_id)
    addresses = sorted((item.address for item in validators), key=_raw)
    forks = dict.fromkeys(("berlinBlock", "londonBlock", "shanghaiTime", "cancunTime"), 0)
    qbft = {
        "blockperiodseconds": BLOCK_S,
        "requesttimeoutseconds": ROUND_S,
        "epochlength": EPOCH_BLOCKS,
    }
    return {
        "config": {"chainId": chain_id, **forks, "zeroBaseFee": True, "qbft": qbft},
        "nonce": "0x0",
        "timestamp": "0x0",
        "extraData": "0x" + extra_data(addresses).hex(),
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "mixHash": _MIX_HASH,
        "coinbase": "0x" + "00" * 20,
        "alloc": {},
    }


def static_nodes(validators: Sequence[Validator]) -> list[str]:
    """Whom a node connects to by itself, and always again."""
    return sorted(item.enode for item in validators)


def permissions(nodes: Sequence[Validator]) -> str:
    """Whom a node talks to at all (TOML). It must name every static node, or Besu does not start.

    It names nodes alone: see above.
    """
    return f"nodes-allowlist={json.dumps(static_nodes(nodes))}\n"


def faults(count: int) -> int:
    """How many of so many validators may fail, or lie, at once."""
    return (count - 1) // 3


def votes_needed(count: int) -> int:
    """Votes that add or drop a validator: more than half."""
    return count // 2 + 1


def _check(validators: Sequence[Validator], chain_id: int) -> None:
    if len({item.public_key for item in validators}) != len(validators):
        raise BadNetwork("two validators have one key: each organisation makes its own")
    if len({(item.host, item.port) for item in validators}) != len(validators):
        raise BadNetwork("two validators have one address: correct it")
    if len(validators) < LEAST:
        raise BadNetwork(f"{len(validators)} validators stop when one fails: take at least {LEAST}")
    if not 0 < chain_id <= _LARGEST_CHAIN_ID:
        raise BadNetwork(f"chain id {chain_id} is out of range: take 1 to 2^53 - 1")


def _raw(address: Address) -> bytes:
    return bytes.fromhex(address[2:])
