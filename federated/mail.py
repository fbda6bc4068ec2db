"""Messages to a relayer, left in the store: what will be public on the chain in any case.

Anyone can leave mail; the relayer reads it as hostile input. A message is a dag-cbor record
announced under a digest of the relayer's address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chain.types import Address
from federated.canonical import tagged_hash
from storage.cid import Cid
from storage.errors import CorruptBlock, MalformedBlock, MissingBlock
from storage.store import BlockStore, get_record, put_record

_FORMAT = "consilium/mail/1"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message: its kind, as in "grants" or "revocations", and its fields."""

    cid: Cid
    kind: str
    body: Mapping[str, Any]


def post(store: BlockStore, to: Address, kind: str, body: Mapping[str, Any]) -> Cid:
    """Leave a message. Idempotent: the same message is one block."""
    return post_all(store, to, kind, [body])[0]


def post_all(
    store: BlockStore, to: Address, kind: str, bodies: Iterable[Mapping[str, Any]]
) -> list[Cid]:
    """Leave many messages of one kind, announced at once. Idempotent."""
    messages = ({"body": dict(body), "format": _FORMAT, "kind": kind} for body in bodies)
    cids = [put_record(store, message) for message in messages]
    store.pin(*cids)
    store.announce(_topic(to), *cids)
    return cids


def mail_for(store: BlockStore, address: Address) -> Iterator[Mail]:
    """Every message for an address; what is no message is passed over."""
    return Mailbox(store, address).new()


@dataclass(slots=True)
class Mailbox:
    """The mail for an address, to be looked at again and again: each message comes once."""

    store: BlockStore
    address: Address
    _seen: set[Cid] = field(default_factory=set)

    def new(self) -> Iterator[Mail]:
        """Messages that were not there at the last look."""
        fresh = [cid for cid in self.store.announced(_topic(self.address)) if cid not in self._seen]
        self._seen.update(fresh)
        for cid in fresh:
            if (mail := _read(self.store, cid)) is not None:
                yield mail


def _read(store: BlockStore, cid: Cid) -> Mail | None:
    """None for what is no message: anyone can announce anything, and it hides none."""
    try:
        tree = get_record(store, cid.digest)
    except (MissingBlock, MalformedBlock, CorruptBlock):
        return None
    known = isinstance(tree, dict) and set(tree) == {"body", "format", "kind"}
    if known and tree["format"] == _FORMAT and isinstance(tree["body"], dict):
        return Mail(cid, str(tree["kind"]), tree["body"])
    return None


def _topic(address: Address) -> bytes:
    return tagged_hash(_FORMAT, bytes.fromhex(address[2:]))
