"""Bytes that nobody foresaw, in every decoder: a value that reads back alike, or a known error.

FUZZ_SECONDS=300 looks for that long in all (`make fuzz`), without it a moment. What it begins with
is kept in tests/vectors/fuzz/seeds.json; a case that once failed belongs there.
"""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from federated.errors import TensorError
from federated.schema import Schema
from federated.tensors import decode_tensors, encode_tensors
from storage import (
    Cid,
    Codec,
    EmbeddedStore,
    Identity,
    Sealed,
    Sender,
    SigningKey,
    dagcbor,
    load_signing_key,
    seal,
    sign_record,
    tags,
)
from storage.cluster_config import cluster_secret
from storage.dagpb import decode_node, encode_node
from storage.envelope import read_envelope
from storage.erasure import find_tombstone, read_tombstone
from storage.errors import MalformedBlock, MalformedCid, MissingBlock, StorageError
from storage.keywords import IndexKey, read_index
from storage.kubo_config import swarm_key
from storage.manifest import read_manifest
from storage.own_file import read_own, write_own
from storage.payload import PayloadReader, SegmentCipher
from storage.swarm_invitation import Invitation, invite, open_invitation
from storage.unixfs import export_file, import_file
from tests.storage.second_decoder import Refused, cbor

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 30
SEEDS = Path(__file__).parents[1] / "vectors" / "fuzz" / "seeds.json"
SENDER = Sender(b"\xaa" * 20, SigningKey(b"\x01" * 32))
READER = Identity.generate()
CONTEXT = bytes(range(32))
SCHEMA = Schema.of("I32", {"a": (3,), "b": (2, 2)})
NUMBERS = [b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, b"\x1b" + bytes(8)]
Target = Callable[[Path, bytes], None]


def put(folder: Path, block: bytes) -> tuple[EmbeddedStore, Cid]:
    store = EmbeddedStore.create(folder, durable=False)
    return store, store.put_block(Codec.DAG_CBOR, block[: 1 << 20])


def cid_of_bytes(_: Path, data: bytes) -> None:
    try:
        assert bytes(Cid.from_bytes(data)) == data
    except MalformedCid:
        return


def cid_of_text(_: Path, data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        assert str(Cid.parse(text)) == text
    except MalformedCid:
        return


def record(_: Path, data: bytes) -> None:
    try:
        value = dagcbor.decode(data)
    except MalformedBlock:
        with pytest.raises(Refused):
            cbor(data)
        return
    assert dagcbor.encode(value) == data
    cbor(data)


def file_node(_: Path, data: bytes) -> None:
    try:
        assert encode_node(decode_node(Cid.of(Codec.DAG_PB, data), data)) == data
    except MalformedBlock:
        return


def file(_: Path, data: bytes) -> None:
    """A tree whose root is altered: what is read has the bytes that the root states."""
    blocks: dict[Cid, bytes] = {}
    import_file(
        io.BytesIO(b"x" * 300), lambda cid, block: blocks.update({cid: bytes(block)}), 64, 3
    )
    root = Cid.of(Codec.DAG_PB, data)
    blocks[root] = data

    def get(cid: Cid) -> bytes:
        if cid not in blocks:
            raise MissingBlock(str(cid))
        return blocks[cid]

    try:
        found = b"".join(export_file(root, get))
        assert len(found) == sum(link.file_size for link in decode_node(root, data))
    except StorageError:
        return


def manifest(folder: Path, data: bytes) -> None:
    store, cid = put(folder, data)
    try:
        read_manifest(store, cid.digest)
    except StorageError:
        return
    assert dagcbor.encode(dagcbor.decode(data)) == data


def signed(tag: str, read: Callable[[EmbeddedStore, Cid, Any], object]) -> Target:
    """Bodies of any form under a good signature: what a dishonest member can write."""

    def target(folder: Path, data: bytes) -> None:
        try:
            body = dagcbor.decode(data)
        except MalformedBlock:
            return
        if not isinstance(body, dict):
            return
        try:
            block = sign_record(tag, body, SENDER)
        except MalformedBlock:  # too deep by a level
            return
        store, cid = put(folder, block)
        try:
            read(store, cid, body)
        except StorageError:
            return

    return target


def _signed_manifest(store: EmbeddedStore, cid: Cid, _: Any) -> None:
    found = read_manifest(store, cid.digest)
    assert found.plaintext_size >= 0
    cipher = SegmentCipher(bytes(32), found.nonce_prefix, found.context)
    reader = PayloadReader(store, found.payload, found.plaintext_size, cipher)
    with pytest.raises(StorageError):
        next(iter(reader.segments()))


def _signed_envelope(store: EmbeddedStore, cid: Cid, _: Any) -> None:
    made = sealed_in(store)
    found = read_envelope(store, read_manifest(store, made.manifest_digest), cid)
    assert all(len(key_id) == 32 for key_id in found.wraps)


def _signed_tombstone(store: EmbeddedStore, cid: Cid, body: Any) -> None:
    digest = body.get("manifest")
    if isinstance(digest, bytes) and len(digest) == 32:
        store.announce(digest, cid)
        find_tombstone(store, digest, SENDER.signer)
        shutil.rmtree(store.path / "topics")  # a long search would list them all each time
        (store.path / "topics").mkdir()
        read_tombstone(store, cid, digest, SENDER.signer)


def _signed_index(store: EmbeddedStore, cid: Cid, _: Any) -> None:
    found = read_index(store, cid)
    assert all(len(artefact) == 32 for artefact in found.entries)
    assert found.matching(IndexKey.derived(bytes(32), CONTEXT), ["never"]) == []


def kept_of_sealed(_: Path, data: bytes) -> None:
    try:
        fields = json.loads(data)
        if isinstance(fields, dict):
            Sealed.from_json(fields)
    except (ValueError, RecursionError, StorageError):
        return


def key_file(folder: Path, data: bytes) -> None:
    path = folder / "key"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        load_signing_key(path)
    except StorageError:
        return


def own_file(folder: Path, data: bytes) -> None:
    path = folder / "own"
    path.write_bytes(data)
    try:
        read_own(path, READER, CONTEXT)
    except StorageError:
        return


def invitation(_: Path, data: bytes) -> None:
    try:
        open_invitation(data, READER, SENDER.signer)
    except StorageError:
        return


def tensors(_: Path, data: bytes) -> None:
    try:
        found = decode_tensors(data, SCHEMA)
    except TensorError:
        return
    assert encode_tensors(found, SCHEMA) == data


TARGETS: dict[str, Target] = {
    "cid_of_bytes": cid_of_bytes,
    "cid_of_text": cid_of_text,
    "record": record,
    "file_node": file_node,
    "file": file,
    "manifest": manifest,
    "signed_manifest": signed(tags.MANIFEST, _signed_manifest),
    "signed_envelope": signed(tags.ENVELOPE, _signed_envelope),
    "signed_tombstone": signed(tags.TOMBSTONE, _signed_tombstone),
    "signed_index": signed(tags.INDEX, _signed_index),
    "kept_of_sealed": kept_of_sealed,
    "key_file": key_file,
    "own_file": own_file,
    "invitation": invitation,
    "tensors": tensors,
}


def sealed_in(store: EmbeddedStore) -> Sealed:
    return seal(
        store,
        b"plain",
        kind="update",
        schema=bytes(32),
        context=CONTEXT,
        sender=SENDER,
        recipients=[READER.recipient],
    )


def fresh(name: str, folder: Path) -> Iterator[bytes]:
    """Well-formed bytes that cannot be kept: they are for a key of this run."""
    if name == "own_file":
        write_own(folder / "own", b"plain", READER, CONTEXT)
        yield (folder / "own").read_bytes()
    if name == "invitation":
        known = Invitation(swarm_key(), cluster_secret(), [])
        yield invite(known, READER.recipient, SENDER)
    if name == "signed_index":
        entry = {"artefact": bytes(32), "tokens": bytes(1024)}
        whole = {"context": CONTEXT, "entries": [entry], "key": bytes(32), "number": 1}
        yield dagcbor.encode(whole | {"catalogue": bytes(32)})
    if name == "tensors":
        values = {"a": np.arange(3, dtype=np.int32), "b": np.ones((2, 2), dtype=np.int32)}
        yield encode_tensors(values, SCHEMA)


@st.composite
def altered(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed after a few cuts, flips, insertions and repetitions; or any bytes."""
    data = bytearray(draw(st.sampled_from([*seeds, b""])))
    if not data:
        return draw(st.binary(max_size=400))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(["cut", "flip", "put", "repeat", "number"]))
        if how == "cut":
            del data[at:end]
        elif how == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif how == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif how == "repeat":
            data[at:at] = data[at:end]
        else:
            data[at : at + 8] = draw(
                st.sampled_from([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
            )
    return bytes(data)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_a_value_or_a_known_error(name: str, tmp_path: Path) -> None:
    kept = [bytes.fromhex(text) for text in json.loads(SEEDS.read_text()).get(name, [])]
    seeds = [*kept, *fresh(name, tmp_path)]
    for data in seeds:
        TARGETS[name](tmp_path, data)
    share = SECONDS / len(TARGETS)
    until, round_ = time.monotonic() + share, 0
    while round_ == 0 or time.monotonic() < until:
        _search(name, seeds, tmp_path, round_)
        round_ += 1


def _search(name: str, seeds: list[bytes], folder: Path, round_: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]

    @seed(round_)
    @settings(
        max_examples=EXAMPLES if SECONDS == 0 else 1000,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=checks,
    )
    @given(altered(seeds))
    def look(data: bytes) -> None:
        TARGETS[name](folder, data)

    look()
