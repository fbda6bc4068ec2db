"""What an auditor checks of the code at an address: it is the committed artifact, wired as said.

Pure: the code comes from whichever node the auditor asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from chain import artifacts
from chain.errors import CodeMismatch
from chain.keccak import keccak
from chain.typed_data import Domain
from chain.types import Address

# Immutables of our own contracts, each the address of the contract so named.
_WIRED = {
    "_participants": "Participants",
    "_studies": "Studies",
    "_agreements": "Agreements",
    "_consents": "Consents",
    "_rounds": "Rounds",
    "_challenges": "Challenges",
    "_escrow": "Escrow",
}


def check_code(name: str, code: bytes, addresses: Mapping[str, Address], chain_id: int) -> None:
    """Raises CodeMismatch unless `code` is the artifact of `name` with these immutables."""
    artifact = artifacts.load(name)
    values = immutables(addresses, addresses[name], chain_id)
    if unknown := artifact.immutables.keys() - values.keys():
        raise CodeMismatch(f"{name} has immutables that nobody checks: {', '.join(unknown)}")
    if code != artifact.filled(values):
        what = "no contract" if not code else "another contract, or one wired to others,"
        raise CodeMismatch(
            f"{what} is at {addresses[name]} instead of {name}: trust nothing of this deployment"
        )


def immutables(addresses: Mapping[str, Address], own: Address, chain_id: int) -> dict[str, bytes]:
    """Every immutable's word: addresses of others, and OpenZeppelin's cache of the domain."""
    words = {key: _word(addresses[name]) for key, name in _WIRED.items()}
    return words | {
        "_cachedChainId": chain_id.to_bytes(32, "big"),
        "_cachedThis": _word(own),
        "_cachedDomainSeparator": Domain(chain_id, own).separator(),
        "_hashedName": keccak(b"Consilium"),
        "_hashedVersion": keccak(b"1"),
        "_name": _short("Consilium"),
        "_version": _short("1"),
    }


def _word(address: Address) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _short(text: str) -> bytes:
    """OpenZeppelin's ShortString: the text, and its length in the last byte."""
    return text.encode().ljust(31, b"\0") + bytes([len(text)])
