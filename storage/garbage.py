"""What may go from a store: roots that are given up, and below them what no other pin needs."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from storage.cid import Cid, Codec
from storage.embedded import EmbeddedStore
from storage.erasure import Node
from storage.errors import MissingBlock
from storage.store import links

OLD_S = 24 * 3600.0
"""Who writes blocks pins them within that time."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Pins to be taken away, and the blocks that nothing needs then; `size` is in bytes."""

    roots: tuple[Cid, ...]
    blocks: tuple[Cid, ...]
    size: int


def find_garbage(store: Node, roots: Iterable[Cid], loose: Iterable[Cid] = ()) -> Garbage:
    """What goes when these roots are given up, and of `loose` what no pin needs. Changes nothing.

    Only what the store itself has, and keeps, counts. Raises MissingBlock, CorruptBlock where it
    cannot be told what another pin needs: nothing may go then.
    """
    given_up = set(roots)
    needed = _below(store, set(store.own_pins()) - given_up, complete=True)
    left = _below(store, given_up, complete=False) | {cid for cid in loose if store.has(cid)}
    digests = {cid.digest for cid in needed}  # the embedded store knows no codec
    doomed = sorted(cid for cid in left if cid.digest not in digests)
    size = sum(len(store.get_block(cid)) for cid in doomed)
    return Garbage(tuple(sorted(given_up & set(store.wanted()))), tuple(doomed), size)


def remove(store: Node, garbage: Garbage) -> list[Cid]:
    """Take the pins away, then the blocks; those that stayed, for a pin came meanwhile.

    Raises MissingBlock, CorruptBlock, Unreachable.
    """
    for cid in garbage.roots:
        store.unpin(cid)
    return store.forget(garbage.blocks)


def unneeded(store: EmbeddedStore, *, min_age_s: float = OLD_S) -> tuple[int, int]:
    """How many blocks `store.collect` would remove now, and how many bytes they have.

    Raises MissingBlock, CorruptBlock where what a pin needs cannot be told.
    """
    oldest = time.time() - min_age_s
    needed = {cid.digest.hex() for cid in _below(store, store.pins(), complete=True)}
    count = size = 0
    for path in (store.path / "blocks").glob("*/*"):
        with suppress(FileNotFoundError):  # another process collects
            found = path.stat()
            if path.name not in needed and found.st_mtime < oldest:
                count, size = count + 1, size + found.st_size
    return count, size


def _below(store: Node, roots: Iterable[Cid], *, complete: bool) -> set[Cid]:
    """All blocks at and below the roots that the store itself has."""
    found: set[Cid] = set()
    stack, seen = list(roots), set(roots)
    while stack:
        cid = stack.pop()
        if not store.has(cid):  # a node would fetch it from other members
            if complete and cid.codec is not Codec.RAW:
                raise MissingBlock(
                    f"{cid}, which a pin needs, is missing here: pin it again, so that the store "
                    "can tell what else is needed; until then nothing is collected"
                )
            continue
        found.add(cid)
        if cid.codec is not Codec.RAW:
            fresh = set(links(cid, store.get_block(cid))) - seen
            seen |= fresh
            stack.extend(fresh)
    return found
