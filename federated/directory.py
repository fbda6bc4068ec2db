"""Names of participants: the operator's word, published when it admits an account.

A name is for people to read. What decides is always the address.
"""

from __future__ import annotations

from chain.contracts import Contracts
from chain.participants import Role
from chain.types import Address, BlockNumber
from federated.errors import StepError
from storage.errors import StorageError, Unreachable
from storage.store import BlockStore, get_record, put_record

_FORMAT = "consilium/participant/1"


def publish_description(store: BlockStore, name: str, role: Role) -> bytes:
    """Keep and pin a participant's public description; its digest goes on-chain (32 bytes)."""
    if not name or len(name) > 64 or not name.isprintable():
        raise StepError("a participant's name has 1 to 64 printable characters")
    cid = put_record(store, {"format": _FORMAT, "name": name, "role": role.name.lower()})
    store.pin(cid)
    return cid.digest


def name_of(
    chain: Contracts, store: BlockStore, account: Address, block: BlockNumber
) -> str | None:
    """The name under which an account was admitted; None where nobody published one."""
    digest = chain.participants.metadata_of(account, block_identifier=block)
    try:
        record = get_record(store, digest) if any(digest) else None
    except Unreachable:
        raise
    except StorageError:
        return None  # a description that is gone or is none: the address stays
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        return None
    name = record.get("name")
    return name if isinstance(name, str) and name.isprintable() else None


def known_as(chain: Contracts, store: BlockStore, account: Address, block: BlockNumber) -> str:
    """The name of an account for people to read; its address where it has none."""
    return name_of(chain, store, account, block) or account


def account_named(chain: Contracts, store: BlockStore, name: str, block: BlockNumber) -> Address:
    """The one account admitted under a name. Raises `StepError` for none or several."""
    accounts = {event.account for event in chain.participants.admitted(to_block=block)}
    found = sorted(a for a in accounts if name_of(chain, store, a, block) == name)
    if len(found) != 1:
        count = "nobody is" if not found else f"{len(found)} accounts are"
        raise StepError(f"{count} admitted under the name {name!r}: give the address")
    return found[0]
