"""The payload: plaintext in AES-256-GCM segments, each exactly one raw leaf of 1 MiB.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce of a segment is
prefix (7 bytes) ‖ index (4, big-endian) ‖ 1 if it is the last, else 0; so segments can neither be
swapped, dropped nor cut off, and one can be read without the others. An empty plaintext is one
empty segment.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage import tags
from storage.cid import Cid
from storage.errors import ArtefactError, CorruptPayload, StorageError, Truncated
from storage.memory import Kept, Room
from storage.store import BlockStore
from storage.unixfs import CHUNK_SIZE, Readable, check_size, chunks, regular_leaves

TAG_SIZE = 16
SEGMENT_SIZE = CHUNK_SIZE - TAG_SIZE  # 1,048,560 bytes of plaintext
NONCE_PREFIX_SIZE = 7
DATA_KEY_SIZE = 32
MAX_SEGMENTS = 1 << 32
Place = Callable[[int], memoryview]
"""Where the segment that begins at an offset is to be opened into."""


def segment_count(plaintext_size: int) -> int:
    """How many segments hold that many bytes."""
    return max(1, -(-plaintext_size // SEGMENT_SIZE))


def payload_size(plaintext_size: int) -> int:
    """Bytes of the payload of that many bytes."""
    return plaintext_size + segment_count(plaintext_size) * TAG_SIZE


def key_commitment(data_key: bytes, context: bytes) -> bytes:
    """32 bytes that only this data key gives: AES-GCM alone can open under two keys."""
    return _derive(data_key, context, tags.KEY_COMMITMENT)


@dataclass(frozen=True, slots=True)
class SegmentCipher:
    """Seals and opens single segments of one artefact."""

    data_key: bytes = field(repr=False)
    nonce_prefix: bytes
    context: bytes

    def seal(self, index: int, segment: bytes | memoryview, *, last: bool) -> bytes:
        """At most SEGMENT_SIZE bytes, and 16 more. Each index is sealed once under a data key."""
        return self._aead().encrypt(self._nonce(index, last), segment, self._associated())

    def seal_into(
        self, index: int, segment: bytes | memoryview, buffer: memoryview, *, last: bool
    ) -> memoryview:
        """As `seal`, into a buffer that is kept; the part of it that holds the sealed segment."""
        part = buffer[: len(segment) + TAG_SIZE]
        self._aead().encrypt_into(self._nonce(index, last), segment, self._associated(), part)
        return part

    def open(self, index: int, sealed: bytes, *, last: bool) -> bytes:
        """Inverse of `seal`; raises CorruptPayload."""
        try:
            return self._aead().decrypt(self._nonce(index, last), sealed, self._associated())
        except InvalidTag as exc:
            raise _unauthentic(index) from exc

    def open_into(
        self, index: int, sealed: bytes | memoryview, buffer: memoryview, *, last: bool
    ) -> memoryview:
        """As `open`, into a buffer that is kept; the part of it that holds the segment."""
        part = buffer[: len(sealed) - TAG_SIZE]
        try:
            self._aead().decrypt_into(self._nonce(index, last), sealed, self._associated(), part)
        except InvalidTag as exc:
            raise _unauthentic(index) from exc
        return part

    def _aead(self) -> AESGCM:
        return AESGCM(_derive(self.data_key, self.context, tags.PAYLOAD_KEY))

    def _nonce(self, index: int, last: bool) -> bytes:
        return self.nonce_prefix + struct.pack(">I?", index, last)

    def _associated(self) -> bytes:
        return tags.SEGMENT + self.context


@dataclass(frozen=True, slots=True)
class PlainSegment:
    """At most SEGMENT_SIZE bytes of plaintext, and which of the segments they are."""

    index: int
    content: bytes | memoryview = field(repr=False)
    last: bool


class SealedStream:
    """Gives the payload of a plaintext; afterwards knows the plaintext's size and hash.

    Either `read` in order, or `pieces`, each of which any thread may `finish`.
    """

    def __init__(self, plaintext: bytes | Readable, cipher: SegmentCipher) -> None:
        self.plaintext_size = 0
        self._hash = hashlib.sha256()
        self._plaintext = plaintext
        self._cipher = cipher
        kept = Kept(CHUNK_SIZE)
        self._sealed = (self.finish(piece, kept.room) for piece in self.pieces())
        self._left: bytes | memoryview = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of payload; b"" at its end."""
        if not self._left:
            self._left = next(self._sealed, b"")
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)

    @property
    def size(self) -> int | None:
        """Bytes of the payload, None before a stream has ended that nobody knows the length of."""
        return payload_size(len(self._plaintext)) if isinstance(self._plaintext, bytes) else None

    def plaintext_sha256(self) -> bytes:
        """Of the plaintext read so far (32 bytes)."""
        return self._hash.digest()

    def pieces(self) -> Iterator[PlainSegment]:
        """The plaintext in segments. Raises ArtefactError where it has too many."""
        segments = _cut(self._plaintext)
        segment = next(segments)
        for index in range(MAX_SEGMENTS):
            following = next(segments, None)
            self._hash.update(segment)
            self.plaintext_size += len(segment)
            yield PlainSegment(index, segment, last=following is None)
            if following is None:
                return
            segment = following
        raise ArtefactError(f"a plaintext over {MAX_SEGMENTS} segments: split it")

    def finish(self, piece: PlainSegment, room: Room) -> bytes | memoryview:
        """The sealed segment; a whole one lies in `room`, which has CHUNK_SIZE bytes."""
        if len(piece.content) < SEGMENT_SIZE:
            return self._cipher.seal(piece.index, piece.content, last=piece.last)
        return self._cipher.seal_into(piece.index, piece.content, room(), last=piece.last)


def _cut(plaintext: bytes | Readable) -> Iterator[bytes | memoryview]:
    if not isinstance(plaintext, bytes):
        return chunks(plaintext, SEGMENT_SIZE)
    view = memoryview(plaintext)
    starts = range(0, max(1, len(view)), SEGMENT_SIZE)
    return (view[start : start + SEGMENT_SIZE] for start in starts)


class PayloadReader:
    """The plaintext of a payload in a store, whole, by segment, or as a stream of segments."""

    def __init__(
        self, store: BlockStore, payload: Cid, plaintext_size: int, cipher: SegmentCipher
    ) -> None:
        self.plaintext_size = plaintext_size
        self.segment_count = segment_count(plaintext_size)
        self._store = store
        self._payload = payload
        self._cipher = cipher

    def read(self) -> bytes:
        """The whole plaintext. Raises Truncated, CorruptPayload and what `BlockStore.cat` does."""
        return b"".join(self.segments())

    def segments(self) -> Iterator[bytes]:
        """Plaintext segments in order, memory one segment.

        Act on them only after the last one: a payload cut short shows at its end.
        """
        sealed = chunks(_IteratorStream(self._store.cat(self._payload)), CHUNK_SIZE)
        for index in range(self.segment_count):
            yield self._open(index, next(sealed, b""))
        if next(sealed, b""):
            raise self._truncated("more")

    def copy_to(self, put: Callable[[int, memoryview], None]) -> None:
        """Give every segment and its offset to `put`, on all cores and in any order.

        `put` is called by several threads and done with the view when it returns. Act on what it
        got only after this has returned. Raises what `segments` does, and what `put` does.
        """
        kept = Kept(SEGMENT_SIZE)
        try:
            if self._open_leaves(lambda _offset: kept.room(), put):
                return
        except StorageError:
            pass  # of several faults the first must count for everybody, whatever the threads did
        for index, segment in enumerate(self.segments()):
            put(index * SEGMENT_SIZE, memoryview(segment))

    def read_into(self, whole: memoryview) -> None:
        """The whole plaintext into a buffer of `plaintext_size` bytes, on all cores.

        Act on what is in it only after this has returned. Raises what `segments` does.
        """

        def place(offset: int) -> memoryview:
            return whole[offset : offset + SEGMENT_SIZE]

        try:
            if self._open_leaves(place, _leave):
                return
        except StorageError:
            pass  # as in `copy_to`
        for index, segment in enumerate(self.segments()):
            whole[index * SEGMENT_SIZE : index * SEGMENT_SIZE + len(segment)] = segment

    def _open_leaves(self, place: Place, put: Callable[[int, memoryview], None]) -> bool:
        """Open a payload whose leaves are its segments, each in its `place`; whether it is one."""
        leaves = regular_leaves(self._payload, self._store.get_block, self.segment_count)
        if leaves is None:
            return False

        def take(index: int, sealed: memoryview) -> None:
            check_size(self._payload, leaves[index][0], len(sealed), leaves[index][1])
            last = self._check_length(index, sealed)
            offset = index * SEGMENT_SIZE
            put(offset, self._cipher.open_into(index, sealed, place(offset), last=last))

        self._store.each_leaf(self._payload, [leaf for leaf, _ in leaves], take)
        return True

    def segment(self, index: int) -> bytes:
        """One segment, fetching no other leaf. IndexError outside `range(segment_count)`."""
        if not 0 <= index < self.segment_count:
            raise IndexError(f"segment {index} of {self.segment_count}")
        return self._open(
            index, b"".join(self._store.cat(self._payload, index * CHUNK_SIZE, CHUNK_SIZE))
        )

    def _open(self, index: int, sealed: bytes) -> bytes:
        return self._cipher.open(index, sealed, last=self._check_length(index, sealed))

    def _check_length(self, index: int, sealed: bytes | memoryview) -> bool:
        """Raise Truncated unless it is as long as that segment; whether it is the last one."""
        last = index == self.segment_count - 1
        expected = self.plaintext_size - index * SEGMENT_SIZE if last else SEGMENT_SIZE
        if len(sealed) != expected + TAG_SIZE:
            raise self._truncated("less" if len(sealed) < expected + TAG_SIZE else "more")
        return last

    def _truncated(self, how: str) -> Truncated:
        return Truncated(
            f"the payload {self._payload} holds {how} than the {self.plaintext_size} bytes of "
            "plaintext that its manifest states: refuse the artefact"
        )


def _leave(_offset: int, _segment: memoryview) -> None:
    """It is where it belongs."""


class _IteratorStream:
    """An iterator of byte strings as a Readable."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int, /) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def _unauthentic(index: int) -> CorruptPayload:
    return CorruptPayload(
        f"segment {index} of the payload does not authenticate: its sender sealed something else "
        "than the manifest says; refuse the artefact"
    )


def _derive(data_key: bytes, context: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=context, info=info).derive(data_key)
