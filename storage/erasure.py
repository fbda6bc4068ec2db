"""Erases an artefact: envelopes and with them the data key, manifest and payload, at every node.

What is left is a tombstone: a signed record of what was erased and what each node answered. It is
no proof of absence, for a member who kept copies of its own is not asked; see docs/artefact.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from storage import tags
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.envelope import read_envelope
from storage.errors import (
    ArtefactError,
    CorruptBlock,
    EvidenceNeeded,
    MalformedBlock,
    MalformedCid,
    MalformedRecord,
    MissingBlock,
    StorageError,
    TooFewCopies,
    TooSlow,
    Unanswered,
    Unreachable,
)
from storage.manifest import Manifest, read_manifest
from storage.searching import each_announced
from storage.signed import Shape, check_shape, expect_signer, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore, links

_SHAPE: Shape = {"answers": list, "blocks": list, "erased_at": int, "manifest": 32, "reason": str}
_ANSWER_SHAPE: Shape = {"answer": str, "node": str}


@runtime_checkable
class Node(BlockStore, Protocol):
    """A member's store that can part with blocks."""

    def forget(self, cids: Iterable[Cid]) -> list[Cid]:
        """Remove blocks here; those that stay, for a pin needs them. Raises Unreachable."""
        ...

    def own_pins(self) -> list[Cid]:
        """Roots that this store itself keeps, for nobody else's sake too; sorted."""
        ...

    def wanted(self) -> list[Cid]:
        """Every root that `unpin` would let go of: also one of which too few copies are made, or
        that only others are to keep; sorted."""
        ...


class Answer(StrEnum):
    """What a node said at last."""

    ERASED = "erased"
    KEPT = "kept"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A verified tombstone: whose word it is, which blocks, what each node answered."""

    cid: Cid
    manifest_digest: bytes
    signer: Signer
    reason: str
    erased_at: int
    blocks: tuple[Cid, ...]
    answers: Mapping[str, Answer]

    @property
    def complete(self) -> bool:
        """Whether every node that was asked has erased all of it."""
        return set(self.answers.values()) == {Answer.ERASED}


def erase(
    nodes: Mapping[str, Node],
    manifest_digest: bytes,
    *,
    sender: Sender,
    reason: str,
    now: int,
    keep_until: int,
    former: Sequence[Signer] = (),
) -> Tombstone:
    """Unpin and remove an artefact at all nodes, then sign, keep and announce the tombstone there.

    `now` and `keep_until` are seconds since 1970 by the chain's clock: before `keep_until` a
    study's evidence must last, and EvidenceNeeded is raised. May be repeated for nodes that were
    silent, also by another key: `former` are the sender's earlier ones, none of them stolen.
    Raises MissingBlock where no node knows what the artefact is made of, Unreachable where none
    answers.
    """
    if now < keep_until:
        raise EvidenceNeeded(
            f"manifest {dag_cbor_cid(manifest_digest)} is evidence of a study until "
            f"{date_of(keep_until)}, for another {keep_until - now} s: erase it after that"
        )
    envelopes, blocks = _found(nodes, manifest_digest, [sender.signer, *former])
    answers = {name: _unpinned(node, envelopes, blocks) for name, node in nodes.items()}
    for name, node in nodes.items():
        if answers[name] is not Answer.SILENT:
            answers[name] = _forgotten(node, blocks)
    body = {
        "answers": [{"answer": answers[name].value, "node": name} for name in sorted(answers)],
        "blocks": [bytes(cid) for cid in blocks],
        "erased_at": now,
        "manifest": manifest_digest,
        "reason": reason,
    }
    block = sign_record(tags.TOMBSTONE, body, sender)
    heard = [node for name, node in nodes.items() if answers[name] is not Answer.SILENT]
    if not heard:
        raise Unreachable(
            f"none of {len(nodes)} nodes answered: manifest {dag_cbor_cid(manifest_digest)} is not "
            "erased; start one, then try again"
        )
    for node in heard:
        cid = node.put_block(Codec.DAG_CBOR, block)
        node.announce(manifest_digest, cid)
        with suppress(TooFewCopies):  # it is told: a cluster makes them once members are back
            node.pin(cid)
    return _opened(cid, block, manifest_digest)


def find_tombstone(
    store: BlockStore,
    manifest_digest: bytes,
    *signers: Signer,
    between: tuple[int, int] | None = None,
) -> Tombstone | None:
    """The last tombstone of an artefact that one of these signers made, None where there is none.

    Of those alone that state a time in [first, last] (seconds), where `between` gives them: one
    that states another hides none. Anyone may announce one: whose word counts is the caller's to
    say. Raises Unreachable.
    """
    made = [
        stone
        for stone in _tombstones(store, manifest_digest)
        if stone.signer in signers
        and (between is None or between[0] <= stone.erased_at <= between[1])
    ]
    return max(made, key=lambda stone: (stone.erased_at, stone.cid), default=None)


def read_tombstone(
    store: BlockStore, cid: Cid, manifest_digest: bytes, signer: Signer
) -> Tombstone:
    """The tombstone, its signature verified. Raises MalformedRecord, BadSignature, WrongSigner."""
    found = _opened(cid, store.get_block(cid), manifest_digest)
    expect_signer(f"tombstone {cid}", found.signer, signer)
    return found


def date_of(second: int) -> str:
    """A second of the chain or of a record for people to read, whatever number it is."""
    try:
        return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, OverflowError, ValueError):
        return f"second {second}"


def _tombstones(store: BlockStore, manifest_digest: bytes) -> list[Tombstone]:
    stones = []
    with each_announced(store, manifest_digest) as found:
        for cid, read in found:
            # Anyone may announce junk: also what has rotted since, and is no tombstone any more.
            with suppress(ArtefactError, CorruptBlock, MalformedBlock, MissingBlock):
                stones.append(_opened(cid, read(), manifest_digest))
    return stones


def _opened(cid: Cid, block: bytes, manifest_digest: bytes) -> Tombstone:
    record = open_record(tags.TOMBSTONE, block, _SHAPE)
    where, body = f"tombstone {cid}", record.body
    if body["manifest"] != manifest_digest:
        raise MalformedRecord(f"{where} belongs to another artefact")
    try:
        answers = {
            item["node"]: Answer(item["answer"])
            for item in (check_shape(item, _ANSWER_SHAPE, where) for item in body["answers"])
        }
        blocks = tuple(Cid.from_bytes(item) for item in body["blocks"])
    except (MalformedCid, TypeError, ValueError) as exc:
        raise MalformedRecord(f"{where} has an answer or a block that is none") from exc
    return Tombstone(
        cid,
        manifest_digest,
        record.signer,
        body["reason"],
        body["erased_at"],
        blocks,
        MappingProxyType(answers),
    )


def _found(
    nodes: Mapping[str, Node], manifest_digest: bytes, signers: Sequence[Signer]
) -> tuple[list[Cid], list[Cid]]:
    """The envelopes, and all blocks of the artefact: as it stands, or as a signer's last tombstone
    tells. Another's could list anything, and have it unpinned everywhere."""
    last: StorageError | None = None
    for node in nodes.values():
        try:
            manifest = read_manifest(node, manifest_digest)
            payload = _below(node, manifest.payload)
        except (MissingBlock, Unreachable) as exc:
            last = exc
            continue
        for asked in nodes.values():
            with suppress(Unanswered, Unreachable):  # who is silent stops no erasure
                asked.hear(manifest_digest)
        envelopes = envelopes_of(nodes.values(), manifest)
        return envelopes, sorted({*envelopes, manifest.cid, *payload})
    for node in nodes.values():
        with suppress(Unreachable):
            if (stone := find_tombstone(node, manifest_digest, *signers)) is not None:
                return [], list(stone.blocks)
    raise last or MissingBlock("no node was named: name those that hold the artefact")


def envelopes_of(nodes: Iterable[BlockStore], manifest: Manifest) -> list[Cid]:
    """Those of this artefact alone: anyone may announce another's, to have it erased, too."""
    found = set()
    for node in nodes:
        with suppress(Unreachable):
            for cid in node.announced(manifest.digest):
                with suppress(ArtefactError, MalformedBlock, MissingBlock):
                    found.add(read_envelope(node, manifest, cid).cid)
    return sorted(found)


def _below(node: Node, root: Cid) -> set[Cid]:
    found, stack = {root}, [root]
    while stack:
        if (cid := stack.pop()).codec is not Codec.RAW:
            fresh = set(links(cid, node.get_block(cid))) - found
            found |= fresh
            stack.extend(fresh)
    return found


def _unpinned(node: Node, envelopes: Sequence[Cid], blocks: Sequence[Cid]) -> Answer:
    """Before any node removes anything: one that still has a pin would fetch it back.

    Asked of all that could be one: no list of pins shows what a cluster has too few copies of.
    """
    roots = {*envelopes, *(cid for cid in blocks if cid.codec is not Codec.RAW)}
    try:
        for cid in roots:
            node.unpin(cid)
    except Unreachable:
        return Answer.SILENT
    return Answer.KEPT


def _forgotten(node: Node, blocks: Sequence[Cid]) -> Answer:
    try:
        return Answer.KEPT if node.forget(blocks) else Answer.ERASED
    except (CorruptBlock, MissingBlock, TooSlow):
        # Damaged, it cannot tell what its pins need; Kubo looks for that until its time is up.
        return Answer.KEPT
    except Unreachable:
        return Answer.SILENT
