"""Reading a payload on all cores gives what reading it in order gives, its errors included."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storage import Cid, Codec, EmbeddedStore
from storage.artefact import Opened
from storage.dagpb import Link, encode_node
from storage.errors import CorruptPayload, MalformedBlock, MissingBlock, StorageError, Truncated
from storage.memory import blank
from storage.payload import SEGMENT_SIZE, PayloadReader, SealedStream, SegmentCipher
from storage.store import links
from storage.unixfs import CHUNK_SIZE, import_file
from tests.storage.conftest import CONTEXT, World

CIPHER = SegmentCipher(bytes(32), bytes(7), CONTEXT)
SIZES = [0, 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 5 * SEGMENT_SIZE + 12_345]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(EmbeddedStore.create(tmp_path / "store"))


Copy = Callable[[PayloadReader], bytes]


def by_put(reader: PayloadReader) -> bytes:
    data = bytearray(reader.plaintext_size)

    def put(offset: int, piece: memoryview) -> None:
        data[offset : offset + len(piece)] = piece

    reader.copy_to(put)
    return bytes(data)


def in_place(reader: PayloadReader) -> bytes:
    data = bytearray(reader.plaintext_size)
    reader.read_into(memoryview(data))
    return bytes(data)


@pytest.fixture(params=[by_put, in_place])
def copied(request: pytest.FixtureRequest) -> Copy:
    """Either way to get a whole payload on all cores."""
    way: Copy = request.param
    return way


@pytest.mark.parametrize("size", SIZES)
def test_a_payload_is_copied_as_it_is_read(world: World, size: int, copied: Copy) -> None:
    plaintext = os.urandom(size)
    opened = world.open(world.seal(plaintext))
    assert copied(opened.payload) == opened.read() == plaintext


def cut_otherwise(world: World, plaintext: bytes, chunk: int, *, most: int = 1024) -> PayloadReader:
    """The payload of a sender whose importer cuts it into other leaves."""
    stream = SealedStream(io.BytesIO(plaintext), CIPHER)

    def keep(cid: Cid, block: bytes) -> None:
        world.store.put_block(cid.codec, block)

    root = import_file(stream, keep, chunk, most)
    return PayloadReader(world.store, root, len(plaintext), CIPHER)


@pytest.mark.parametrize("chunk", [CHUNK_SIZE // 2, 77_777, CHUNK_SIZE])
def test_a_payload_in_other_leaves_or_a_deeper_tree_is_copied_too(
    world: World, chunk: int, copied: Copy
) -> None:
    plaintext = os.urandom(4 * SEGMENT_SIZE + 5)
    reader = cut_otherwise(world, plaintext, chunk, most=2)
    assert copied(reader) == b"".join(reader.segments()) == plaintext


@pytest.mark.parametrize("stated", [3 * SEGMENT_SIZE, 5 * SEGMENT_SIZE, SEGMENT_SIZE - 1, 0])
def test_a_payload_of_another_size_than_stated_is_refused(
    world: World, stated: int, copied: Copy
) -> None:
    made = cut_otherwise(world, os.urandom(4 * SEGMENT_SIZE), CHUNK_SIZE)
    reader = PayloadReader(world.store, made._payload, stated, CIPHER)
    with pytest.raises((Truncated, CorruptPayload)) as read:
        b"".join(reader.segments())
    with pytest.raises(read.type):
        copied(reader)


def leaves_of(world: World, opened: Opened) -> list[Cid]:
    payload = opened.manifest.payload
    return links(payload, world.store.get_block(payload))


def rebuilt(world: World, opened: Opened, leaves: list[tuple[Cid, int]]) -> PayloadReader:
    """The reader of a root that names these leaves with these sizes."""
    block = encode_node([Link(cid, size, size) for cid, size in leaves])
    root = world.store.put_block(Codec.DAG_PB, block)
    return PayloadReader(world.store, root, opened.payload.plaintext_size, opened.payload._cipher)


@pytest.mark.parametrize(("forged", "error"), [(0, CorruptPayload), (4, MissingBlock)])
def test_of_two_faults_the_first_counts_however_threads_run(
    world: World,
    forged: int,
    error: type[StorageError],
    copied: Copy,
) -> None:
    """A hospital that could choose between "missing" and "does not open" by a race would have
    center and auditor come to different verdicts."""
    opened = world.open(world.seal(os.urandom(5 * SEGMENT_SIZE)))
    leaves = leaves_of(world, opened)
    lost = 4 - forged
    wrong = world.store.put_block(Codec.RAW, os.urandom(CHUNK_SIZE))
    leaves[forged] = wrong
    reader = rebuilt(world, opened, [(leaf, CHUNK_SIZE) for leaf in leaves])
    world.block_file(leaves[lost]).unlink()
    for _ in range(5):
        with pytest.raises(error):
            copied(reader)


def test_a_leaf_of_another_size_than_its_parent_states_is_refused_on_both_ways(
    world: World,
    copied: Copy,
) -> None:
    opened = world.open(world.seal(os.urandom(SEGMENT_SIZE + 100)))
    first, last = leaves_of(world, opened)
    reader = rebuilt(world, opened, [(first, CHUNK_SIZE), (last, 115)])
    with pytest.raises(MalformedBlock):
        b"".join(reader.segments())
    with pytest.raises(MalformedBlock):
        copied(reader)


def test_a_tree_made_to_be_endless_ends_after_the_stated_size(world: World, copied: Copy) -> None:
    """Each node names one child a thousand times: to walk it takes for ever."""
    leaf = world.store.put_block(Codec.RAW, bytes(CHUNK_SIZE))
    link = Link(leaf, CHUNK_SIZE, CHUNK_SIZE)
    for _ in range(4):
        root = world.store.put_block(Codec.DAG_PB, encode_node([link] * 1000))
        link = Link(root, link.file_size * 1000, link.dag_size * 1000)
    reader = PayloadReader(world.store, link.cid, 3 * SEGMENT_SIZE, replace(CIPHER))
    with pytest.raises(CorruptPayload):
        copied(reader)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 3_000_001])
def test_memory_to_be_filled_is_blank_and_given_away_as_it_was_filled(size: int) -> None:
    whole = blank(size)
    assert whole.getvalue() == bytes(size)
    content = os.urandom(size)
    whole.getbuffer()[:] = content
    assert whole.getvalue() == content
