"""What a backend must do: blocks by CID, files by CID, pins, and announcements by topic.

A backend is never trusted: every read recomputes the CID, so that a block is right or an error.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from storage import dagcbor
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.dagpb import decode_node
from storage.errors import BlockTooLarge, CorruptBlock, MissingBlock, Unanswered, caused_by
from storage.searching import SEARCH_S, each_announced
from storage.unixfs import Readable

MAX_BLOCK_SIZE = 1 << 20  # what every IPFS node exchanges


T = TypeVar("T")
TakeLeaf = Callable[[int, memoryview], None]
"""Gets a leaf by its number in the file."""


class BlockStore(Protocol):
    """Content-addressed blocks that all members of the swarm can read: encrypt before writing."""

    def put_block(self, codec: Codec, block: bytes) -> Cid:
        """Keep one block, durably, and return its CID. Raises BlockTooLarge, Unreachable."""
        ...

    def put_pinned(self, codec: Codec, block: bytes) -> Cid:
        """Keep and pin a block above files that this store itself was given just now.

        As `put_block` and `pin`, but leaves are not looked at again. Raises what those two do.
        """
        ...

    def get_block(self, cid: Cid) -> bytes:
        """The block's verified bytes. Raises MissingBlock, CorruptBlock, Unreachable.

        Unanswered, a MissingBlock, where somebody who may have it does not answer.
        """
        ...

    def each_leaf(self, file: Cid, leaves: Sequence[Cid], take: TakeLeaf) -> None:
        """Give `take` each leaf of a file, verified: for who reads much, on all cores.

        `leaves` are all of them, in order, of MAX_BLOCK_SIZE bytes but the last one. Any thread
        gives any leaf; the view holds until `take` returns. Raises what `get_block` and `take` do.
        """
        ...

    def has(self, cid: Cid) -> bool:
        """Whether the block is there; its bytes are not looked at. Raises Unreachable."""
        ...

    def add_file(self, stream: Readable) -> Cid:
        """Keep a file of any size as a UnixFS DAG of profile `unixfs-v1-2025`; return its root."""
        ...

    def cat(self, cid: Cid, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The verified bytes `[offset, offset + length)` of a file, to its end if None."""
        ...

    def pin(self, *cids: Cid) -> None:
        """Keep these blocks and all that they link to. Idempotent. Raises MissingBlock."""
        ...

    def unpin(self, cid: Cid) -> None:
        """Forget the pin; the blocks may be collected. Idempotent."""
        ...

    def pins(self) -> list[Cid]:
        """Every pinned root, sorted."""
        ...

    def announce(self, topic: bytes, *cids: Cid) -> None:
        """Tell all members that the blocks have to do with a 32-byte digest. Idempotent.

        Anyone in the swarm may announce anything: whoever lists a topic verifies what it finds.
        """
        ...

    def announced(self, topic: bytes) -> list[Cid]:
        """Every CID announced under a 32-byte digest, sorted; empty if there is none.

        What members are slow to tell is left out.
        """
        ...

    def hear(self, topic: bytes) -> None:
        """Wait for what members announced under a topic, so that `announced` lists it.

        For who would conclude from that there is none. Raises Unanswered where somebody does not
        tell, Unreachable.
        """
        ...


def put_record(store: BlockStore, value: dagcbor.Value) -> Cid:
    """Keep a value as one canonical dag-cbor block; its digest is what a chain can hold."""
    return store.put_block(Codec.DAG_CBOR, dagcbor.encode(value))


def surely(
    store: BlockStore, topic: bytes, search: Callable[[], T], within_s: float = SEARCH_S
) -> T:
    """What a search among announcements finds; nothing only after all members told what they know.

    For who would hold it against somebody that there is none. Raises Unanswered or what came of it,
    also where more is announced than was read in `within_s`; Unreachable, and what `search` does.
    """
    if found := search():
        return found
    store.hear(topic)
    with each_announced(store, topic, within_s) as names:
        for _, read in names:
            try:
                read()
            except (MissingBlock, CorruptBlock) as exc:
                if caused_by(exc, Unanswered):
                    raise  # whoever is silent may have it whole
                # Anyone can announce what nobody has.
    return search()


def get_record(store: BlockStore, digest: bytes) -> dagcbor.Value:
    """The value of the record with this sha2-256 digest (32 bytes).

    Raises MissingBlock, CorruptBlock, MalformedBlock, Unreachable.
    """
    return dagcbor.decode(store.get_block(dag_cbor_cid(digest)))


def check_block_size(block: bytes | memoryview) -> None:
    """Raise BlockTooLarge over MAX_BLOCK_SIZE."""
    if len(block) > MAX_BLOCK_SIZE:
        raise BlockTooLarge(
            f"a block of {len(block)} bytes is over the {MAX_BLOCK_SIZE} that nodes exchange: "
            "add it as a file"
        )


def links(cid: Cid, block: bytes) -> list[Cid]:
    """What a block links to; none from a raw one. Raises MalformedBlock."""
    if cid.codec is Codec.RAW:
        return []
    if cid.codec is Codec.DAG_PB:
        return [link.cid for link in decode_node(cid, block)]
    return dagcbor.links(dagcbor.decode(block))


def put_into(buffer: memoryview, block: bytes) -> memoryview:
    """A block that is in memory anyway, for who keeps a buffer."""
    buffer[: len(block)] = block
    return buffer[: len(block)]


def verify(cid: Cid, block: bytes, where: str) -> bytes:
    """The block itself if it hashes to its CID, else CorruptBlock that names CID and place."""
    found = Cid.of(cid.codec, block)
    if found != cid:
        raise CorruptBlock(
            f"{cid} in {where} is corrupt: its {len(block)} bytes hash to {found.digest.hex()} "
            f"instead of {cid.digest.hex()}; fetch it again from another member"
        )
    return block
