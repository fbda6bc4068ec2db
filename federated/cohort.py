"""A cohort as it is committed to: one leaf per consent, in the order of the ids.

A leaf holds its index, the consent's id and a salted digest of the record: nothing about a patient
can be read from it or tried out against it. Salts come from the operating system and stay with the
hospital, which can open a leaf later, one record at a time. The Merkle root is the chain's matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain.types import ConsentId as ConsentId
from federated.canonical import Digest, decode, encode, tagged_hash
from federated.errors import CanonicalError, CohortError

_FORMAT = "consilium/leaves/1"
MAX_LEAVES = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Leaf:
    """One consent in a cohort; `record` is the salted digest."""

    index: int
    consent: ConsentId
    record: Digest


@dataclass(frozen=True, slots=True)
class Entry:
    """What a hospital knows of a leaf: the record's own digest and the salt."""

    consent: ConsentId
    record_digest: Digest
    salt: bytes


def new_salt() -> bytes:
    """32 fresh bytes; one for each leaf of each round."""
    return os.urandom(32)


def salted_digest(salt: bytes, record_digest: bytes) -> Digest:
    """H("consilium/record/1", salt, record digest)."""
    if len(salt) != 32 or len(record_digest) != 32:
        raise CohortError("a salt and a record digest have 32 bytes each")
    return tagged_hash("consilium/record/1", salt, record_digest)


def build_leaves(entries: Iterable[Entry]) -> tuple[Leaf, ...]:
    """Leaves in strictly increasing order of consent ids. Raises `CohortError`."""
    ordered = sorted(entries, key=lambda entry: entry.consent)
    leaves = tuple(
        Leaf(index, entry.consent, salted_digest(entry.salt, entry.record_digest))
        for index, entry in enumerate(ordered)
    )
    _check(leaves)
    return leaves


def encode_leaves(leaves: Sequence[Leaf]) -> bytes:
    """Canonical bytes of the list that every member of the study may read."""
    _check(leaves)
    return encode({"format": _FORMAT, "leaves": [[leaf.consent, leaf.record] for leaf in leaves]})


def decode_leaves(data: bytes) -> tuple[Leaf, ...]:
    """The leaves of a published list, from hostile bytes. Raises `CohortError`."""
    try:
        tree = decode(data)
    except CanonicalError as exc:
        raise CohortError(f"list of leaves: {exc}") from exc
    if not isinstance(tree, dict) or set(tree) != {"format", "leaves"} or tree["format"] != _FORMAT:
        raise CohortError(f"list of leaves: the format is not {_FORMAT}")
    rows = tree["leaves"]
    if not isinstance(rows, list) or any(not isinstance(r, list) or len(r) != 2 for r in rows):
        raise CohortError("list of leaves: each is a pair of consent id and record digest")
    if any(not isinstance(item, bytes) for row in rows for item in row):
        raise CohortError("list of leaves: ids and digests are bytes")
    leaves = tuple(Leaf(index, row[0], row[1]) for index, row in enumerate(rows))
    _check(leaves)
    return leaves


def _check(leaves: Sequence[Leaf]) -> None:
    if not 0 < len(leaves) <= MAX_LEAVES:
        raise CohortError("the cohort is empty: no eligible record has an active consent")
    for position, leaf in enumerate(leaves):
        if any(len(item) != 32 for item in (leaf.consent, leaf.record)):
            raise CohortError(f"leaf {position}: 32 bytes each are expected")
        if leaf.index != position:
            raise CohortError(f"leaf {position} has index {leaf.index}; number leaves from 0")
        if position and leaf.consent <= leaves[position - 1].consent:
            raise CohortError(f"leaf {position}: consent ids do not strictly increase")
