import contextlib
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.cid import Cid, Codec
from storage.dagpb import Link, decode_node, encode_node
from storage.errors import MalformedBlock
from storage.read_ahead import read_ahead
from storage.unixfs import CHUNK_SIZE, export_file, import_file

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "artefact" / "cids.json").read_text())
PATTERN = bytes(i % 251 for i in range(251)) * 8356  # two chunks, and 251 divides its length


class PatternStream:
    """`size` bytes of the pattern, without holding them."""

    def __init__(self, size: int) -> None:
        self.position, self.size = 0, size

    def read(self, size: int, /) -> bytes:
        start = self.position % 251
        piece = PATTERN[start : start + min(size, self.size - self.position)]
        self.position += len(piece)
        return piece


class Blocks(dict[Cid, bytes]):
    """Blocks in memory, and which were fetched."""

    def __init__(self) -> None:
        self.fetched: list[Cid] = []

    def put(self, cid: Cid, block: bytes) -> None:
        assert Cid.of(cid.codec, block) == cid
        self[cid] = block

    def get_block(self, cid: Cid) -> bytes:
        self.fetched.append(cid)
        return self[cid]


def ignore(_cid: Cid, _block: bytes) -> None:
    """Keep nothing."""


@pytest.mark.parametrize(
    "row", VECTORS["files"], ids=lambda row: f"{row['size']}-{row['max_links']}"
)
def test_a_file_has_the_cid_that_another_importer_gives(row: dict[str, int | str]) -> None:
    stream = PatternStream(int(row["size"]))
    cid = import_file(stream, ignore, int(row["chunk_size"]), int(row["max_links"]))
    assert str(cid) == row["cid"]


@pytest.mark.parametrize("row", VECTORS["repeated_x"])
def test_a_file_has_the_cid_that_kubo_gives(row: dict[str, int | str]) -> None:
    assert str(import_file(io.BytesIO(b"x" * int(row["size"])), ignore)) == row["cid"]


def test_importing_a_large_file_needs_memory_for_one_chunk_only() -> None:
    tracemalloc.start()
    import_file(PatternStream(200 * CHUNK_SIZE), ignore)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * CHUNK_SIZE


def test_short_reads_do_not_change_the_cid() -> None:
    class Dripping(PatternStream):
        def read(self, size: int, /) -> bytes:
            return super().read(min(size, 7))

    assert import_file(Dripping(1000), ignore, 64, 4) == import_file(
        PatternStream(1000), ignore, 64, 4
    )


@given(
    size=st.integers(0, 3000),
    chunk_size=st.integers(8, 100),
    max_links=st.integers(4, 9),
    offset=st.integers(0, 3100),
    length=st.none() | st.integers(0, 3100),
)
def test_any_range_of_a_file_reads_back(
    size: int, chunk_size: int, max_links: int, offset: int, length: int | None
) -> None:
    blocks = Blocks()
    content = PatternStream(size).read(size)
    root = import_file(io.BytesIO(content), blocks.put, chunk_size, max_links)
    end = None if length is None else offset + length
    assert b"".join(export_file(root, blocks.get_block, offset, length)) == content[offset:end]


def test_a_range_fetches_only_its_leaves_and_their_ancestors() -> None:
    blocks = Blocks()
    root = import_file(PatternStream(64 * 64), blocks.put, 64, 4)  # three levels of nodes
    assert len(b"".join(export_file(root, blocks.get_block, 10 * 64, 64))) == 64
    assert len(blocks.fetched) == 4


def nested(height: int) -> tuple[Blocks, Cid]:
    blocks = Blocks()
    link = Link(Cid.of(Codec.RAW, b"leaf"), 4, 4)
    blocks[link.cid] = b"leaf"
    for _ in range(height):
        block = encode_node([link])
        link = Link(Cid.of(Codec.DAG_PB, block), 4, link.dag_size + len(block))
        blocks[link.cid] = block
    return blocks, link.cid


def test_a_tree_made_to_be_endless_is_refused() -> None:
    blocks, root = nested(8)
    assert b"".join(export_file(root, blocks.get_block)) == b"leaf"
    blocks, root = nested(9)
    with pytest.raises(MalformedBlock, match="higher than 8"):
        list(export_file(root, blocks.get_block))


@pytest.mark.parametrize("stated", [3, 5, 1 << 60])
def test_a_node_that_lies_about_its_childs_size_is_refused(stated: int) -> None:
    blocks, _ = nested(0)
    block = encode_node([Link(Cid.of(Codec.RAW, b"leaf"), stated, 4)])
    root = Cid.of(Codec.DAG_PB, block)
    blocks[root] = block
    with pytest.raises(MalformedBlock, match=f"holds 4 bytes where its parent states {stated}"):
        list(export_file(root, blocks.get_block))


def test_a_record_is_no_file() -> None:
    root = Cid.of(Codec.DAG_CBOR, b"\xa0")
    with pytest.raises(MalformedBlock, match="is a record, not a file"):
        list(export_file(root, lambda _: b"\xa0"))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_node(block: bytes) -> None:
    cid = Cid.of(Codec.DAG_PB, block)
    with pytest.raises(MalformedBlock, match=str(cid)):
        decode_node(cid, block)


@given(st.data())
def test_a_node_with_any_byte_changed_is_refused_or_still_canonical(data: st.DataObject) -> None:
    node = bytearray(encode_node([Link(Cid.of(Codec.RAW, b"a"), 300, 300)] * 3))
    position = data.draw(st.integers(0, len(node) - 1))
    node[position] ^= data.draw(st.integers(1, 255))
    block = bytes(node)
    cid = Cid.of(Codec.DAG_PB, block)
    with contextlib.suppress(MalformedBlock):
        assert encode_node(decode_node(cid, block)) == block


def test_a_tree_of_empty_leaves_without_end_holds_nobody_up() -> None:
    blocks: dict[Cid, bytes] = {}

    def put(codec: Codec, block: bytes) -> Cid:
        cid = Cid.of(codec, block)
        blocks[cid] = block
        return cid

    level = Link(put(Codec.RAW, b""), 0, 0)
    for _ in range(6):  # 1024⁶ leaves out of seven blocks
        node = encode_node([level] * 1024)
        level = Link(put(Codec.DAG_PB, node), 0, len(node))
    some = Link(put(Codec.RAW, b"some"), 4, 4)
    root = put(Codec.DAG_PB, encode_node([some, level, some]))
    asked: list[Cid] = []

    def get(cid: Cid) -> bytes:
        asked.append(cid)
        assert len(asked) < 10
        return blocks[cid]

    assert b"".join(export_file(root, get)) == b"somesome"
    assert b"".join(export_file(root, get, 4, 4)) == b"some"
    asked.clear()
    assert b"".join(read_ahead(root, get)) == b"somesome"
