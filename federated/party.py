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


@dataclass(frozen=True, slots=True)
class Held:
    """A key that held, and the block from which on its account revokes it; None: it stands."""

    signer: Signer
    revoked: BlockNumber | None


def keys_between(
    chain: Contracts, account: Address, first: BlockNumber, last: BlockNumber
) -> list[Held]:
    """Whichever keys held for an account at a block of [first, last], the newest first.

    A revocation is of every key before it, of one that was exchanged earlier, too.
    """
    found: list[Held] = []
    block, revoked = last, None
    while block >= first:
        keys = chain.participants.keys_at(account, block, block_identifier=last)
        if keys.from_block:
            found.append(Held(Signer(bytes.fromhex(account[2:]), keys.signing), revoked))
            if keys.from_block <= first:
                break
            # Keys that are revoked and set anew in one block look like keys that are exchanged.
            since = end = BlockNumber(keys.from_block)
        else:
            since, end = first, block
        if ended := chain.participants.revoked(account, from_block=since, to_block=end):
            since = revoked = ended[-1].block
        elif not keys.from_block:
            break
        block = BlockNumber(since - 1)
    return found


def signers_between(
    chain: Contracts, account: Address, first: BlockNumber, last: BlockNumber
) -> list[Signer]:
    """Who is believed by `last` to have signed for an account since `first`, the newest key first.

    A key that was exchanged meanwhile still signed what was signed with it. One that was revoked by
    `last` did not: whoever stole it can sign today what pretends to be older. What was to stand
    must have been dated by a block before (`last`), or say when it was signed (`keys_between`).
    """
    held = keys_between(chain, account, first, last)
    return [key.signer for key in held if key.revoked is None]


def recipient_at(party: Party, account: Address, block: BlockNumber) -> RecipientKey:
    """The encryption key of an account at a block, from the store by the chain's digest."""
    keys = party.chain.participants.keys_at(account, block, block_identifier=block)
    if keys.from_block == 0:
        raise StepError(f"{account} had published no keys at block {block}; ask it to register")
    return fetch_key(party.store, keys.encryption)
