"""Files as UnixFS DAGs, with the CIDs of Kubo's import profile `unixfs-v1-2025`.

CIDv1, sha2-256, raw leaves of 1 MiB, balanced tree of at most 1024 links a node; a file of one
leaf is that leaf. https://specs.ipfs.tech/unixfs/
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from storage.cid import Cid, Codec
from storage.dagpb import Link, decode_node, encode_node
from storage.errors import MalformedBlock
from storage.memory import Kept, Room
from storage.pipeline import in_order

CHUNK_SIZE = 1 << 20
MAX_LINKS = 1024
MAX_LISTED = 1 << 16  # leaves, so 64 GiB
_MAX_HEIGHT = 8  # 1024**8 leaves; a higher tree is made to waste its reader's time


Put = Callable[[Cid, bytes | memoryview], None]
"""Keeps a block; done with the view when it returns."""
Finish = Callable[[Any, Room], bytes | memoryview]
"""Makes a chunk of a piece, see `Pieces.finish`."""


class Readable(Protocol):
    """A binary stream; `read(n)` may return fewer bytes and returns b"" at its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        ...


@runtime_checkable
class Pieces(Protocol):
    """A stream whose bytes threads make, a chunk of CHUNK_SIZE each, the last one shorter."""

    @property
    def size(self) -> int | None:
        """Bytes of all chunks, where they are known beforehand."""
        ...

    def pieces(self) -> Iterator[Any]:
        """What a chunk is made of, in order; at least one."""
        ...

    def finish(self, piece: Any, room: Room) -> bytes | memoryview:
        """The chunk; it may lie in `room`, which has CHUNK_SIZE bytes."""
        ...


def import_file(
    stream: Readable,
    put: Put,
    chunk_size: int = CHUNK_SIZE,
    max_links: int = MAX_LINKS,
    width: int = 1,
) -> Cid:
    """Hand every block of the stream's DAG to `put`, children first; return the root's CID.

    Leaves are made, hashed and put by `width` threads at once. Memory is a few chunks for each and
    at most `max_links` links a level, whatever the file's size.
    """
    pieces, finish = cut(stream, chunk_size)
    kept = Kept(chunk_size)

    def put_leaf(piece: Any) -> Link:
        chunk = finish(piece, kept.room)
        link = leaf_link(chunk)
        put(link.cid, chunk)
        return link

    tree = Tree(put, max_links)
    for link in in_order(put_leaf, pieces, width):
        tree.add(link)
    return tree.root()


class Tree:
    """The inner nodes above leaves that come in order, each handed to `put` once it is full."""

    def __init__(self, put: Put, max_links: int = MAX_LINKS) -> None:
        self._put = put
        self._max_links = max_links
        self._levels: list[list[Link]] = [[]]

    def add(self, leaf: Link) -> None:
        """One more leaf."""
        self._add(0, leaf)

    def root(self) -> Cid:
        """Close every open node. At least one leaf was added."""
        levels, level = self._levels, 0
        while len(levels) > level + 1 or len(levels[level]) > 1:
            node = _put_node(levels[level], self._put)
            level += 1
            self._add(level, node)
        return levels[level][0].cid

    def _add(self, level: int, link: Link) -> None:
        levels = self._levels
        if level == len(levels):
            levels.append([])
        if len(levels[level]) == self._max_links:  # full, and more follows: close this node
            closed = _put_node(levels[level], self._put)
            levels[level] = []
            self._add(level + 1, closed)
        levels[level].append(link)


def leaf_link(chunk: bytes | memoryview) -> Link:
    """What a node says of a leaf."""
    return Link(Cid.of(Codec.RAW, chunk), len(chunk), len(chunk))


def cut(stream: Readable, chunk_size: int = CHUNK_SIZE) -> tuple[Iterator[Any], Finish]:
    """A stream's pieces in order, and what makes a chunk of one: any thread may, see `Pieces`."""
    if isinstance(stream, Pieces) and chunk_size == CHUNK_SIZE:
        return stream.pieces(), stream.finish
    return chunks(stream, chunk_size), _whole


def _whole(piece: bytes, _room: Room) -> bytes:
    return piece


def chunks(stream: Readable, size: int) -> Iterator[bytes]:
    """The stream in pieces of exactly `size` bytes, the last one shorter; b"" if it is empty."""
    first = True
    while chunk := _read_full(stream, size):
        yield chunk
        first = False
        if len(chunk) < size:
            return
    if first:
        yield b""


def export_file(
    root: Cid, get: Callable[[Cid], bytes], offset: int = 0, length: int | None = None
) -> Iterator[bytes]:
    """The bytes `[offset, offset + length)` of a file, block by block; to its end if None.

    Only the blocks that hold them are fetched. Raises MalformedBlock where the DAG is no file.
    """
    end = None if length is None else offset + length
    # (node, position of its first byte, size that its parent states, height left)
    stack: list[tuple[Cid, int, int | None, int]] = [(root, 0, None, _MAX_HEIGHT)]
    while stack:
        cid, position, size, height = stack.pop()
        block = get(cid)
        if cid.codec is Codec.RAW:
            check_size(root, cid, len(block), size)
            piece = block[max(offset - position, 0) : None if end is None else end - position]
            if piece:
                yield piece
            continue
        children = decode_node(cid, block)
        check_size(root, cid, sum(child.file_size for child in children), size)
        if height == 0:
            raise MalformedBlock(f"{root} is a tree higher than {_MAX_HEIGHT}: refuse the file")
        wanted: list[tuple[Cid, int, int | None, int]] = []
        for child in children:
            some = child.file_size > 0  # empty leaves: few blocks make a tree of them endless
            if some and position + child.file_size > offset and (end is None or position < end):
                wanted.append((child.cid, position, child.file_size, height - 1))
            position += child.file_size
        stack.extend(reversed(wanted))


def regular_leaves(
    root: Cid, get: Callable[[Cid], bytes], count: int
) -> list[tuple[Cid, int | None]] | None:
    """The `count` leaves of a file cut as `import_file` cuts, with the sizes that parents state.

    None where the file has another number of leaves, or others than the last are not of CHUNK_SIZE:
    `export_file` reads those too. Only inner nodes are fetched; whoever gets a leaf compares its
    size (`check_size`). None also for more than MAX_LISTED: three small nodes can claim a thousand
    million leaves, and the list alone would fill the memory. Raises MalformedBlock.
    """
    if count > MAX_LISTED:
        return None
    found: list[tuple[Cid, int | None]] = []
    for leaf in _leaves(root, get):
        if len(found) == count or (found and found[-1][1] != CHUNK_SIZE):
            return None  # before a tree that was made to be endless is walked
        found.append(leaf)
    return found if len(found) == count else None


def _leaves(root: Cid, get: Callable[[Cid], bytes]) -> Iterator[tuple[Cid, int | None]]:
    """Leaves in order with the sizes that their parents state; a lone one's is not stated."""
    stack: list[tuple[Cid, int | None, int]] = [(root, None, _MAX_HEIGHT)]
    while stack:
        cid, size, height = stack.pop()
        if cid.codec is Codec.RAW:
            yield cid, size
            continue
        children = decode_node(cid, get(cid))
        check_size(root, cid, sum(child.file_size for child in children), size)
        if height == 0:
            raise MalformedBlock(f"{root} is a tree higher than {_MAX_HEIGHT}: refuse the file")
        below = [(child.cid, child.file_size, height - 1) for child in children]
        stack.extend(reversed(below))


def check_size(root: Cid, cid: Cid, size: int, stated: int | None) -> None:
    """Raise MalformedBlock where a block of a file has another size than its parent states."""
    if stated is not None and size != stated:
        raise MalformedBlock(
            f"{cid} in the file {root} holds {size} bytes where its parent states {stated}: "
            "refuse the file"
        )


def _put_node(links: Sequence[Link], put: Put) -> Link:
    block = encode_node(links)
    cid = Cid.of(Codec.DAG_PB, block)
    put(cid, block)
    dag_size = len(block) + sum(link.dag_size for link in links)
    return Link(cid, sum(link.file_size for link in links), dag_size)


def _read_full(stream: Readable, size: int) -> bytes:
    chunk = stream.read(size)
    if not chunk or len(chunk) == size:
        return chunk
    parts = [chunk]
    missing = size - len(chunk)
    while missing and (chunk := stream.read(missing)):
        parts.append(chunk)
        missing -= len(chunk)
    return b"".join(parts)
