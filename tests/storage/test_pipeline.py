"""Pieces of a stream in threads: results in order, few under way, the first fault counts."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import EmbeddedStore, Identity, Sender, SigningKey, open_artefact, seal
from storage.memory import Kept
from storage.payload import SEGMENT_SIZE, SealedStream, SegmentCipher
from storage.pipeline import in_order
from storage.unixfs import CHUNK_SIZE, Readable


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_results_come_in_the_order_of_the_pieces(width: int, count: int) -> None:
    assert list(in_order(lambda x: 2 * x, range(count), width)) == [2 * x for x in range(count)]


def test_no_more_pieces_are_read_than_may_be_under_way() -> None:
    read: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(100):
            read.append(piece)
            yield piece

    most = 0
    for taken, _ in enumerate(in_order(lambda x: x, pieces(), 3), 1):
        most = max(most, len(read) - taken)
    assert len(read) == 100
    assert most <= 4


def test_a_single_piece_is_worked_on_where_it_is_asked_for() -> None:
    assert list(in_order(lambda _: threading.get_ident(), [0], 8)) == [threading.get_ident()]


def test_the_first_piece_that_fails_is_the_one_that_is_told() -> None:
    def work(piece: int) -> int:
        if piece >= 7:
            raise ValueError(str(piece))
        return piece

    found: list[int] = []
    before = set(threading.enumerate())  # of other tests, which may end meanwhile
    with pytest.raises(ValueError, match=r"^7$"):
        found.extend(in_order(work, range(50), 4))
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("size", [0, 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 5 * SEGMENT_SIZE])
@pytest.mark.parametrize("streamed", [False, True])
def test_threads_seal_what_one_reader_of_the_stream_gets(size: int, streamed: bool) -> None:
    plaintext = bytes(i % 251 for i in range(size))
    cipher = SegmentCipher(b"k" * 32, b"p" * 7, b"c" * 32)

    def stream() -> SealedStream:
        return SealedStream(io.BytesIO(plaintext) if streamed else plaintext, cipher)

    whole = b""
    reader: Readable = stream()
    while piece := reader.read(700_001):
        whole += piece
    pieces, kept = stream(), Kept(CHUNK_SIZE)
    assert b"".join(bytes(pieces.finish(one, kept.room)) for one in pieces.pieces()) == whole
    assert pieces.plaintext_size == size


def test_a_store_that_does_not_wait_for_the_disk_keeps_the_same_blocks(tmp_path: Path) -> None:
    sender, reader = Sender(b"\xaa" * 20, SigningKey.generate()), Identity.generate()
    store = EmbeddedStore.create(tmp_path / "quick", durable=False)
    plaintext = bytes(3 * SEGMENT_SIZE + 5)
    sealed = seal(
        store,
        plaintext,
        kind="update",
        schema=bytes(32),
        context=bytes(32),
        sender=sender,
        recipients=[reader.recipient],
    )
    opened = open_artefact(
        EmbeddedStore(tmp_path / "quick"),
        sealed.manifest_digest,
        reader,
        expected_context=bytes(32),
        expected_signer=sender.signer,
    )
    assert opened.read() == plaintext
    assert not list((tmp_path / "quick" / "tmp").iterdir())
