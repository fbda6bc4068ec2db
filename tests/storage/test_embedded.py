import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import Cid, Codec, EmbeddedStore, get_record, put_record, raw_cid
from storage.errors import (
    BlockTooLarge,
    CorruptBlock,
    MalformedBlock,
    MalformedCid,
    MissingBlock,
    Unanswered,
    Unreachable,
)
from storage.store import surely
from storage.unixfs import CHUNK_SIZE

NewStore = Callable[[str], EmbeddedStore]
ABSENT = raw_cid(b"\x07" * 32)


def block_file(store: EmbeddedStore, cid: Cid) -> Path:
    name = cid.digest.hex()
    return store.path / "blocks" / name[:2] / name


def test_a_block_reads_back_in_another_process_that_opens_the_folder(new_store: NewStore) -> None:
    store = new_store("a")
    cid = store.put_block(Codec.RAW, b"hello")
    assert EmbeddedStore(store.path).get_block(cid) == b"hello"
    assert store.has(cid)
    assert not store.has(ABSENT)


class Rotten(EmbeddedStore):
    """Gives a block that rotted here, of which a member that is silent may have a copy."""

    silence: Exception | None = None

    def get_block(self, cid: Cid) -> bytes:
        raise CorruptBlock(f"{cid} is corrupt") from self.silence


def test_nothing_is_surely_absent_while_a_silent_member_may_have_it_whole(
    new_store: NewStore,
) -> None:
    topic, store = bytes(32), Rotten(new_store("a").path)
    store.announce(topic, ABSENT)
    assert surely(store, topic, lambda: None) is None
    store.silence = Unanswered("12D3 did not answer")
    with pytest.raises(CorruptBlock) as caught:
        surely(store, topic, lambda: None)
    assert caught.value.__cause__ is store.silence


def test_a_missing_block_is_named(new_store: NewStore) -> None:
    store = new_store("a")
    with pytest.raises(MissingBlock, match=str(ABSENT)) as caught:
        store.get_block(ABSENT)
    assert str(store.path) in str(caught.value)


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b"", b"hello!"])
def test_a_corrupt_block_is_named_and_writing_it_again_heals_it(
    new_store: NewStore, damage: bytes
) -> None:
    store = new_store("a")
    cid = store.put_block(Codec.RAW, b"hello")
    block_file(store, cid).write_bytes(damage)
    with pytest.raises(CorruptBlock, match=str(cid)) as caught:
        store.get_block(cid)
    assert str(store.path) in str(caught.value)
    store.put_block(Codec.RAW, b"hello")
    assert store.get_block(cid) == b"hello"


def test_a_block_is_read_into_a_buffer_that_is_kept(new_store: NewStore) -> None:
    store, buffer = new_store("a"), memoryview(bytearray(CHUNK_SIZE))
    blocks = [os.urandom(CHUNK_SIZE), b"short", b""]
    for block in blocks:
        assert store.get_block_into(store.put_block(Codec.RAW, block), buffer) == block
    with pytest.raises(MissingBlock, match=str(ABSENT)):
        store.get_block_into(ABSENT, buffer)


@pytest.mark.parametrize("size", [1, 1000, CHUNK_SIZE])
@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "emptied"])
def test_a_corrupt_block_is_not_read_into_a_buffer(
    new_store: NewStore, size: int, how: str
) -> None:
    store, block = new_store("a"), os.urandom(size)
    cid = store.put_block(Codec.RAW, block)
    wrong = {
        "flipped": bytes([block[0] ^ 1]) + block[1:],
        "cut": block[:-1],
        "longer": block + b"\0",
        "emptied": b"",
    }
    block_file(store, cid).write_bytes(wrong[how])
    with pytest.raises(CorruptBlock, match=str(cid)):
        store.get_block_into(cid, memoryview(bytearray(CHUNK_SIZE)))


def test_a_store_that_is_absent_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=f"no block store at {tmp_path}"):
        EmbeddedStore(tmp_path)


def test_a_store_that_goes_away_is_unreachable_and_not_empty(new_store: NewStore) -> None:
    store = new_store("a")
    cid = store.put_block(Codec.RAW, b"hello")
    shutil.rmtree(store.path)
    for use in (
        lambda: store.get_block(cid),
        lambda: store.has(cid),
        lambda: store.put_block(Codec.RAW, b"more"),
        lambda: store.pin(cid),
        lambda: store.unpin(cid),
        store.pins,
        lambda: store.announced(cid.digest),
    ):
        with pytest.raises(Unreachable):
            use()


def test_a_disk_that_fails_is_unreachable_and_says_why(new_store: NewStore) -> None:
    store = new_store("a")
    shutil.rmtree(store.path / "tmp")
    (store.path / "tmp").write_bytes(b"")
    with pytest.raises(Unreachable, match="Not a directory"):
        store.put_block(Codec.RAW, b"hello")


def test_a_block_over_one_mebibyte_is_refused_before_it_is_written(new_store: NewStore) -> None:
    store = new_store("a")
    store.put_block(Codec.RAW, bytes(CHUNK_SIZE))
    with pytest.raises(BlockTooLarge, match="add it as a file"):
        store.put_block(Codec.RAW, bytes(CHUNK_SIZE + 1))


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE + 5])
def test_a_file_reads_back_whole_and_in_part(new_store: NewStore, size: int) -> None:
    store = new_store("a")
    content = os.urandom(size)
    cid = store.add_file(io.BytesIO(content))
    assert b"".join(store.cat(cid)) == content
    assert b"".join(store.cat(cid, CHUNK_SIZE - 1, 2)) == content[CHUNK_SIZE - 1 : CHUNK_SIZE + 1]


def test_a_file_with_a_missing_or_corrupt_leaf_says_which(new_store: NewStore) -> None:
    store = new_store("a")
    content = os.urandom(2 * CHUNK_SIZE)
    root = store.add_file(io.BytesIO(content))
    leaf = Cid.of(Codec.RAW, content[CHUNK_SIZE:])
    block_file(store, leaf).write_bytes(b"other")
    with pytest.raises(CorruptBlock, match=str(leaf)):
        list(store.cat(root))
    block_file(store, leaf).unlink()
    with pytest.raises(MissingBlock, match=str(leaf)):
        list(store.cat(root))


def test_pins_last_and_are_forgotten_on_demand(new_store: NewStore) -> None:
    store = new_store("a")
    cids = sorted(store.put_block(Codec.RAW, bytes([i])) for i in range(3))
    for cid in cids:
        store.pin(cid)
        store.pin(cid)
    assert EmbeddedStore(store.path).pins() == cids
    store.unpin(cids[0])
    store.unpin(cids[0])
    assert store.pins() == cids[1:]


def test_what_lacks_a_block_far_below_cannot_be_pinned(new_store: NewStore) -> None:
    store = new_store("a")
    content = os.urandom(2 * CHUNK_SIZE)
    record = put_record(store, {"file": [store.add_file(io.BytesIO(content))]})
    store.pin(record)
    leaf = Cid.of(Codec.RAW, content[:CHUNK_SIZE])
    block_file(store, leaf).unlink()
    store.unpin(record)
    with pytest.raises(MissingBlock, match=str(leaf)):
        store.pin(record)
    assert store.pins() == []


def test_announcements_are_listed_by_topic(new_store: NewStore) -> None:
    store = new_store("a")
    topic, other = b"\x01" * 32, b"\x02" * 32
    cids = sorted(raw_cid(bytes([i]) * 32) for i in range(3))
    for cid in reversed(cids):
        store.announce(topic, cid)
        store.announce(topic, cid)
    assert EmbeddedStore(store.path).announced(topic) == cids
    assert store.announced(other) == []


def test_a_stray_file_among_announcements_hides_nothing(new_store: NewStore) -> None:
    store = new_store("a")
    topic = b"\x01" * 32
    store.announce(topic, ABSENT)
    (store.path / "topics" / topic.hex() / ".DS_Store").touch()
    assert store.announced(topic) == [ABSENT]


def test_a_topic_is_a_digest_and_no_path(new_store: NewStore) -> None:
    store = new_store("a")
    with pytest.raises(MalformedCid, match="32 bytes"):
        store.announce(b"../../pins", ABSENT)


def test_records_are_found_by_digest_alone(new_store: NewStore) -> None:
    store = new_store("a")
    cid = put_record(store, {"b": 1, "a": [True, None]})
    assert get_record(store, cid.digest) == {"a": [True, None], "b": 1}
    raw = store.put_block(Codec.RAW, b"\x18\x17")  # 23, not in its shortest form
    with pytest.raises(MalformedBlock):
        get_record(store, raw.digest)


KILLED_BEFORE_RENAME = """
    import os, signal, sys
    from storage import Codec, EmbeddedStore

    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    EmbeddedStore(sys.argv[1]).put_block(Codec.RAW, b"half")
"""


@pytest.mark.processes
def test_a_writer_killed_before_the_rename_leaves_nothing_visible(new_store: NewStore) -> None:
    store = new_store("a")
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_BEFORE_RENAME), str(store.path)],
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    (abandoned,) = (store.path / "tmp").iterdir()
    assert abandoned.read_bytes() == b"half"
    cid = Cid.of(Codec.RAW, b"half")
    assert not store.has(cid)
    store.put_block(Codec.RAW, b"half")
    assert store.get_block(cid) == b"half"

    day_ago = time.time() - 25 * 3600
    assert abandoned.exists()
    os.utime(abandoned, (day_ago, day_ago))
    EmbeddedStore.create(store.path)
    assert not abandoned.exists()


def write_blocks(path: Path, start: int) -> None:
    store = EmbeddedStore(path)
    for number in range(60):
        cid = store.put_block(Codec.RAW, bytes([(start + number) % 60]) * 5000)
        store.pin(cid)
        store.announce(b"\x01" * 32, cid)


@pytest.mark.processes
def test_processes_that_write_the_same_blocks_at_once_leave_each_whole(
    new_store: NewStore,
) -> None:
    store = new_store("a")
    spawn = multiprocessing.get_context("spawn")
    writers = [
        spawn.Process(target=write_blocks, args=(store.path, start)) for start in (0, 0, 20, 40)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    expected = sorted(Cid.of(Codec.RAW, bytes([number]) * 5000) for number in range(60))
    assert store.pins() == store.announced(b"\x01" * 32) == expected
    assert all(len(store.get_block(cid)) == 5000 for cid in expected)
    assert list((store.path / "tmp").iterdir()) == []
