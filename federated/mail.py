"""Messages to a relayer, left in the store: what will be public on the chain in any case.

Anyone can leave mail; the relayer reads it as hostile input. A message is a dag-cbor record
announced under a digest of the relayer's address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
    for cid in store.announced(_topic(address)):
        try:
            tree = get_record(store, cid.digest)
        except (MissingBlock, MalformedBlock, CorruptBlock):
            continue  # anyone can announce anything: what is no message hides none
        known = isinstance(tree, dict) and set(tree) == {"body", "format", "kind"}
        if known and tree["format"] == _FORMAT and isinstance(tree["body"], dict):
            yield Mail(cid, str(tree["kind"]), tree["body"])


def _topic(address: Address) -> bytes:
    return tagged_hash(_FORMAT, bytes.fromhex(address[2:]))
