"""A file on its way to a node: hashed while it is sent, so that the node's word is compared."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from storage.cid import Cid
from storage.cores import cores
from storage.dagpb import Link
from storage.pipeline import in_order
from storage.unixfs import CHUNK_SIZE, Pieces, Readable, Tree, cut, leaf_link

Chunk = bytes | memoryview
Copy = Callable[[Chunk], object]


class Outgoing:
    """The bytes of a stream in order, for once; afterwards the CID that they must have."""

    def __init__(self, stream: Readable, copy: Copy) -> None:
        """`copy` gets each chunk before it is sent. Memory is a few chunks: each is a view that
        holds until the next one is taken."""
        self.size = stream.size if isinstance(stream, Pieces) else None
        self._copy = copy
        self._root: Cid | None = None
        self._chunks = self._made(stream)

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def cid(self) -> Cid:
        """Of the whole file: what nobody took is read now."""
        for _ in self._chunks:
            pass
        if self._root is None:
            raise ValueError("a file that failed or was closed midway has no CID")
        return self._root

    def close(self) -> None:
        """End its threads. Idempotent."""
        self._chunks.close()

    def _made(self, stream: Readable) -> Generator[Chunk, None, None]:
        pieces, finish = cut(stream)
        tree = Tree(_forget)

        idle: list[memoryview] = []

        def leaf(piece: Any) -> tuple[Link, Chunk, list[memoryview]]:
            taken: list[memoryview] = []

            def room() -> memoryview:
                try:
                    taken.append(idle.pop())
                except IndexError:
                    taken.append(memoryview(bytearray(CHUNK_SIZE)))
                return taken[-1]

            chunk = finish(piece, room)
            return leaf_link(chunk), chunk, taken

        try:
            for link, chunk, taken in in_order(leaf, pieces, cores()):
                tree.add(link)
                self._copy(chunk)
                yield chunk
                idle.extend(taken)
        except Exception as exc:
            raise _SourceFailedError(exc) from exc
        self._root = tree.root()


@contextmanager
def outgoing(stream: Readable, copy: Copy = lambda _chunk: None) -> Iterator[Outgoing]:
    """An Outgoing; what the stream or `copy` raises comes out of here as it was."""
    file = Outgoing(stream, copy)
    try:
        yield file
    except _SourceFailedError as exc:
        raise exc.reason from None
    finally:
        file.close()


class _SourceFailedError(Exception):
    """The stream failed: on its way through a call it must not be taken for the node's fault."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


def _forget(_cid: Cid, _block: bytes | memoryview) -> None:
    """The CID alone is wanted: the node makes the inner nodes itself."""
