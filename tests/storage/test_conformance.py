"""What every backend does alike: same bytes, same CID; what is wrong or missing is an error."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import (
    BlockStore,
    Cid,
    Codec,
    Identity,
    Sender,
    SigningKey,
    dagcbor,
    get_record,
    open_artefact,
    put_record,
    raw_cid,
    seal,
)
from storage.erasure import Node
from storage.errors import (
    BlockTooLarge,
    CorruptBlock,
    MalformedBlock,
    MalformedCid,
    MissingBlock,
)
from storage.private_swarm import PrivateSwarm
from storage.store import links
from storage.unixfs import CHUNK_SIZE, import_file
from tests.storage import kit

pytestmark = pytest.mark.timeout(1800)
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "artefact" / "cids.json").read_text())
BACKENDS = [
    "embedded",
    pytest.param("kubo", marks=pytest.mark.engine("kubo")),
    pytest.param("cluster", marks=pytest.mark.engine("kubo", "cluster")),
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[kit.Backend]:
    if request.param == "embedded":
        yield kit.embedded(tmp_path / "store")
        return
    if request.param == "cluster":
        with kit.cluster(request.getfixturevalue("cluster"), "harbor") as member:
            yield member
        return
    swarm: PrivateSwarm = request.getfixturevalue("swarm")
    with kit.kubo(swarm.nodes["harbor"]) as kubo:
        yield kubo


@pytest.fixture
def store(backend: kit.Backend) -> BlockStore:
    return backend.store


def fresh(size: int = 40) -> bytes:
    """Bytes that no store has seen."""
    return os.urandom(size)


def absent() -> Cid:
    return raw_cid(os.urandom(32))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_block_reads_back_under_the_cid_of_its_bytes(store: BlockStore, codec: Codec) -> None:
    node = Cid.of(Codec.RAW, b"leaf")
    content = {
        Codec.RAW: fresh(),
        Codec.DAG_PB: b"\x0a\x02\x08\x01",
        Codec.DAG_CBOR: b"\x82\x58\x20" + fresh(32) + b"\xd8\x2a\x58\x25\x00" + bytes(node),
    }[codec]
    cid = store.put_block(codec, content)
    assert cid == Cid.of(codec, content)
    assert store.get_block(cid) == content
    assert store.has(cid)
    assert not store.has(absent())


def test_an_empty_block_is_a_block(store: BlockStore) -> None:
    assert store.get_block(store.put_block(Codec.RAW, b"")) == b""


def test_a_missing_block_is_named_with_the_place(backend: kit.Backend) -> None:
    cid = absent()
    with pytest.raises(MissingBlock, match=str(cid)) as caught:
        backend.store.get_block(cid)
    assert backend.where in str(caught.value)


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b"hello!", bytes(CHUNK_SIZE + 1)])
def test_a_corrupt_block_is_named_and_writing_it_again_heals_it(
    backend: kit.Backend, damage: bytes
) -> None:
    content = fresh() + b"hello"
    cid = backend.store.put_block(Codec.RAW, content)
    backend.block_file(cid).write_bytes(content[:-5] + damage)
    with pytest.raises(CorruptBlock, match=str(cid)) as caught:
        backend.store.get_block(cid)
    assert backend.where in str(caught.value)
    backend.store.put_block(Codec.RAW, content)
    assert backend.store.get_block(cid) == content


def test_a_block_over_one_mebibyte_is_refused(store: BlockStore) -> None:
    whole = fresh(CHUNK_SIZE)
    assert store.get_block(store.put_block(Codec.RAW, whole)) == whole
    with pytest.raises(BlockTooLarge, match="add it as a file"):
        store.put_block(Codec.RAW, whole + b"x")


@pytest.mark.parametrize("row", VECTORS["repeated_x"])
def test_a_file_has_the_cid_of_the_profile(store: BlockStore, row: dict[str, int | str]) -> None:
    assert str(store.add_file(io.BytesIO(b"x" * int(row["size"])))) == row["cid"]


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 18 * CHUNK_SIZE + 5])
def test_a_file_reads_back_whole_and_in_part(store: BlockStore, size: int) -> None:
    content = fresh(size)
    cid = store.add_file(io.BytesIO(content))
    assert cid == import_file(io.BytesIO(content), lambda _cid, _block: None)
    assert b"".join(store.cat(cid)) == content
    assert b"".join(store.cat(cid, CHUNK_SIZE - 1, 2)) == content[CHUNK_SIZE - 1 : CHUNK_SIZE + 1]
    assert b"".join(store.cat(cid, size + 1)) == b""


@pytest.mark.parametrize("size", [1, CHUNK_SIZE, 3 * CHUNK_SIZE, 6 * CHUNK_SIZE + 5])
def test_every_leaf_of_a_file_comes_once_under_its_number(store: BlockStore, size: int) -> None:
    content, found = fresh(size), list[tuple[int, bytes]]()
    root = store.add_file(io.BytesIO(content))
    leaves = links(root, store.get_block(root)) or [root]
    store.each_leaf(root, leaves, lambda number, leaf: found.append((number, bytes(leaf))))
    assert [number for number, _ in sorted(found)] == list(range(len(leaves)))
    assert b"".join(leaf for _, leaf in sorted(found)) == content


def test_a_stream_that_drips_is_read_to_its_end(store: BlockStore) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 70_001))

    content = fresh(2 * CHUNK_SIZE + 3)
    assert b"".join(store.cat(store.add_file(Dripping(content)))) == content


def test_a_file_with_a_missing_or_corrupt_leaf_says_which(backend: kit.Backend) -> None:
    content = fresh(3 * CHUNK_SIZE)
    root = backend.store.add_file(io.BytesIO(content))
    leaf = Cid.of(Codec.RAW, content[CHUNK_SIZE : 2 * CHUNK_SIZE])
    backend.block_file(leaf).write_bytes(b"other")
    with pytest.raises(CorruptBlock, match=str(leaf)):
        list(backend.store.cat(root))
    backend.block_file(leaf).unlink(missing_ok=True)  # a cluster removes what is corrupt
    with pytest.raises((MissingBlock, CorruptBlock), match=str(leaf)):
        list(backend.store.cat(root))
    assert b"".join(backend.store.cat(root, 2 * CHUNK_SIZE)) == content[2 * CHUNK_SIZE :]


def test_a_record_is_found_by_its_digest_and_is_no_file(store: BlockStore) -> None:
    value = {"salt": fresh(), "a": [True, None]}
    cid = put_record(store, value)
    assert get_record(store, cid.digest) == value
    with pytest.raises(MalformedBlock, match="is a record, not a file"):
        list(store.cat(cid))


def test_pins_are_listed_once_and_forgotten_on_demand(store: BlockStore) -> None:
    cids = [store.put_block(Codec.RAW, fresh()) for _ in range(3)]
    for cid in cids:
        store.pin(cid)
        store.pin(cid)
    assert [cid for cid in store.pins() if cid in cids] == sorted(cids)
    assert (found := store.pins()) == sorted(found)
    store.unpin(cids[0])
    store.unpin(cids[0])
    assert [cid for cid in store.pins() if cid in cids] == sorted(cids[1:])


def test_many_are_pinned_at_once_and_one_that_is_missing_is_not(backend: kit.Backend) -> None:
    # A node takes a hundred in one call; a cluster takes each by itself.
    store, many = backend.store, 20 if backend.name == "cluster" else 205
    cids = [store.put_block(Codec.RAW, b"pinned at once %d" % n) for n in range(many)]
    store.pin(*cids)
    assert set(cids) <= set(store.pins())
    other, absent = store.put_block(Codec.RAW, b"beside a missing one"), raw_cid(os.urandom(32))
    with pytest.raises(MissingBlock):
        store.pin(other, absent)
    assert absent not in store.pins()
    store.pin()
    store.unpin(cids[0])
    assert cids[0] not in store.pins()
    assert cids[1] in store.pins()


def test_what_lacks_a_block_far_below_cannot_be_pinned(backend: kit.Backend) -> None:
    store, content = backend.store, fresh(2 * CHUNK_SIZE)
    record = put_record(store, {"file": [store.add_file(io.BytesIO(content))]})
    store.pin(record)
    store.unpin(record)
    leaf = Cid.of(Codec.RAW, content[:CHUNK_SIZE])
    for copy in backend.copies_of(leaf):
        copy.unlink()
    with pytest.raises(MissingBlock, match=str(leaf)):
        store.pin(record)
    assert record not in store.pins()


def test_a_block_above_a_file_just_given_is_kept_and_pinned_with_it(backend: kit.Backend) -> None:
    store, content = backend.store, fresh(2 * CHUNK_SIZE)
    root = store.add_file(io.BytesIO(content))
    above = dagcbor.encode({"file": [root]})
    cid = store.put_pinned(Codec.DAG_CBOR, above)
    assert cid == Cid.of(Codec.DAG_CBOR, above)
    assert cid in store.pins()
    below = [root, *links(root, store.get_block(root))]
    assert isinstance(store, Node)
    assert set(store.forget(below)) == set(below)
    assert b"".join(store.cat(root)) == content


def test_what_was_collected_before_its_pin_came_is_said_to_be_missing(
    backend: kit.Backend,
) -> None:
    """A hospital must not submit what its node counts as pinned and has lost."""
    store = backend.store
    root = store.add_file(io.BytesIO(fresh(2 * CHUNK_SIZE)))
    assert isinstance(store, Node)
    assert not store.forget([root, *links(root, store.get_block(root))])
    above = dagcbor.encode({"file": [root]})
    with pytest.raises(MissingBlock, match=str(root)):
        store.put_pinned(Codec.DAG_CBOR, above)
    assert Cid.of(Codec.DAG_CBOR, above) not in store.pins()


def test_announcements_are_listed_by_topic(store: BlockStore) -> None:
    topic, other = fresh(32), fresh(32)
    cids = sorted(absent() for _ in range(3))
    for cid in reversed(cids):
        store.announce(topic, cid)
        store.announce(topic, cid)
    assert store.announced(topic) == cids
    assert store.announced(other) == []


def test_an_announcement_is_no_pin(store: BlockStore) -> None:
    before = store.pins()
    store.announce(fresh(32), absent())
    assert store.pins() == before


def test_a_topic_is_a_digest_and_no_path(store: BlockStore) -> None:
    for use in (lambda topic: store.announce(topic, absent()), store.announced):
        with pytest.raises(MalformedCid, match="32 bytes"):
            use(b"../../pins")


def test_an_artefact_opens_for_its_recipient(store: BlockStore) -> None:
    sender, center = Sender(b"\xaa" * 20, SigningKey.generate()), Identity.generate()
    content, context = fresh(CHUNK_SIZE + 1), fresh(32)
    sealed = seal(
        store,
        content,
        kind="update",
        schema=bytes(32),
        context=context,
        sender=sender,
        recipients=[center.recipient],
    )
    opened = open_artefact(
        store,
        sealed.manifest_digest,
        center,
        expected_context=context,
        expected_signer=sender.signer,
    )
    assert opened.payload.read() == content
