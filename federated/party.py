"""What an actor holds: its access to the chain, its store, its keys, its journal."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain.contracts import Contracts
from chain.types import Address, BlockNumber
from federated.errors import StepError
from federated.journal import Journal
from federated.memory import Memory
from storage.keys import Identity, RecipientKey, fetch_key
from storage.signing import Sender, Signer
from storage.store import BlockStore


@dataclass(frozen=True, slots=True)
class Party:
    """One participant's process: it knows of others only what the chain and the store say."""

    name: str
    chain: Contracts
    store: BlockStore
    sender: Sender
    identity: Identity
    journal: Journal
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)

    @property
    def address(self) -> Address:
        """The account that signs its transactions."""
        return self.chain.client.address

    def head(self) -> BlockNumber:
        """The newest block, to be named in every read of one step."""
        return self.chain.client.block_number()


def signer_at(chain: Contracts, account: Address, block: BlockNumber) -> Signer:
    """Who signs for an account at a block. Raises `StepError` where it had no keys yet."""
    keys = chain.participants.keys_at(account, block, block_identifier=block)
    if keys.from_block == 0:
        raise StepError(f"{account} had published no keys at block {block}; ask it to register")
    return Signer(bytes.fromhex(account[2:]), keys.signing)


def signers_between(
    chain: Contracts, account: Address, first: BlockNumber, last: BlockNumber
) -> list[Signer]:
    """Who signed for an account at any block of [first, last], the newest key first.

    A key that was exchanged meanwhile still signed what was signed with it. Empty where the account
    had no keys.
    """
    found: list[Signer] = []
    block = last
    while True:
        keys = chain.participants.keys_at(account, block, block_identifier=last)
        if not keys.from_block:
            return found
        found.append(Signer(bytes.fromhex(account[2:]), keys.signing))
        if keys.from_block <= first:
            return found
        block = BlockNumber(keys.from_block - 1)


def recipient_at(party: Party, account: Address, block: BlockNumber) -> RecipientKey:
    """The encryption key of an account at a block, from the store by the chain's digest."""
    keys = party.chain.participants.keys_at(account, block, block_identifier=block)
    if keys.from_block == 0:
        raise StepError(f"{account} had published no keys at block {block}; ask it to register")
    return fetch_key(party.store, keys.encryption)
