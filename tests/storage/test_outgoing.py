"""A file is hashed while it is sent, and what fails on either side is told as what it is."""

import io
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from storage import Cid, Codec
from storage.errors import ArtefactError, CorruptBlock, Unreachable
from storage.kubo import KuboStore
from storage.outgoing import outgoing
from storage.payload import SEGMENT_SIZE, SealedStream, SegmentCipher, payload_size
from storage.unixfs import CHUNK_SIZE, import_file
from tests.storage.test_kubo import hostile, saying

CIPHER = SegmentCipher(bytes(32), bytes(7), bytes(32))


class Failing(io.BytesIO):
    """A stream whose disk fails midway."""

    def __init__(self, content: bytes, error: Exception) -> None:
        super().__init__(content)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 3 * CHUNK_SIZE:
            raise self._error
        return super().read(size)


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 7 * CHUNK_SIZE + 5])
def test_what_is_sent_hashes_to_what_the_importer_says(size: int) -> None:
    content, copy = os.urandom(size), io.BytesIO()
    with outgoing(io.BytesIO(content), copy.write) as file:
        assert b"".join(map(bytes, file)) == copy.getvalue() == content
        assert file.size is None
        assert file.cid() == import_file(io.BytesIO(content), lambda _cid, _block: None)


def test_a_sealed_stream_is_sent_as_it_is_read_and_its_size_is_known_before() -> None:
    plaintext = os.urandom(5 * SEGMENT_SIZE + 99)
    reader, whole = SealedStream(plaintext, CIPHER), b""
    while piece := reader.read(700_001):
        whole += piece
    with outgoing(SealedStream(plaintext, CIPHER)) as file:
        assert file.size == payload_size(len(plaintext)) == len(whole)
        assert b"".join(map(bytes, file)) == whole


def test_a_file_of_which_a_part_was_taken_still_knows_the_whole_ones_cid() -> None:
    content, copy = os.urandom(9 * CHUNK_SIZE), io.BytesIO()
    with outgoing(io.BytesIO(content), copy.write) as file:
        assert next(iter(file)) == content[:CHUNK_SIZE]
        assert file.cid() == import_file(io.BytesIO(content), lambda _cid, _block: None)
    assert copy.getvalue() == content


def test_a_file_that_was_closed_midway_has_no_cid_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())  # of other tests, which may end meanwhile
    with outgoing(io.BytesIO(bytes(9 * CHUNK_SIZE))) as file:
        next(iter(file))
    assert set(threading.enumerate()) <= before
    with pytest.raises(ValueError, match="has no CID"):
        file.cid()


@pytest.mark.parametrize(
    "error", [OSError("disk"), BrokenPipeError("pipe"), TimeoutError("slow"), ArtefactError("size")]
)
def test_a_stream_that_fails_is_not_taken_for_a_node_that_does(error: Exception) -> None:
    """Whoever is told that the node is down looks at the node, and never at its own disk."""
    with (
        hostile(saying(200, b"{}")) as url,
        KuboStore(url) as store,
        pytest.raises(type(error)) as found,
    ):
        store.add_file(Failing(bytes(9 * CHUNK_SIZE), error))
    assert found.value is error


def answering_early(cid: Cid) -> Any:
    """A node that says what it was told to before it has read a file, and hangs up."""

    def answer(handler: Any) -> None:
        saying(200, json.dumps({"Hash": str(cid)}).encode())(handler)

    return answer


def test_a_node_that_answers_before_it_has_read_a_file_is_compared_with_all_of_it() -> None:
    content = os.urandom(64 * CHUNK_SIZE)
    half = import_file(io.BytesIO(content[: len(content) // 2]), lambda _cid, _block: None)
    with (
        hostile(answering_early(half)) as url,
        KuboStore(url) as store,
        pytest.raises((CorruptBlock, Unreachable)),
    ):
        store.add_file(io.BytesIO(content))


def test_a_file_of_unknown_length_is_sent_whole() -> None:
    """In chunks, as no length is stated: read here as a node reads it."""
    content, got = os.urandom(3 * CHUNK_SIZE + 7), list[bytes]()
    cid = import_file(io.BytesIO(content), lambda _cid, _block: None)

    def answer(handler: Any) -> None:
        got.append(b"".join(unchunked(handler.rfile)))
        saying(200, json.dumps({"Hash": str(cid)}).encode())(handler)

    with hostile(answer) as url, KuboStore(url) as store:
        assert store.add_file(io.BytesIO(content)) == cid
    assert content in got[0]


def unchunked(stream: Any) -> Iterator[bytes]:
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


def test_a_node_that_names_nothing_has_kept_nothing() -> None:
    with hostile(saying(200, b"null")) as url, KuboStore(url) as store:
        with pytest.raises(CorruptBlock, match="calls nothing what hashes to"):
            store.put_block(Codec.RAW, b"x")
        with pytest.raises(CorruptBlock, match="calls nothing what hashes to"):
            store.add_file(io.BytesIO(b"x"))
