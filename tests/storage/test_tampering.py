"""What a member with write access to the store, or a dishonest sender, could try."""

import io
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage import (
    Cid,
    Codec,
    EmbeddedStore,
    Sender,
    SigningKey,
    dagcbor,
    put_record,
    sign_record,
    tags,
)
from storage.artefact import Secrets, open_artefact
from storage.dagpb import Link, encode_node
from storage.envelope import read_envelope, wrap_info, write_envelope
from storage.errors import (
    BadSignature,
    CorruptBlock,
    CorruptPayload,
    KeyCommitmentMismatch,
    MalformedBlock,
    MalformedRecord,
    MissingBlock,
    NotARecipient,
    StorageError,
    Truncated,
    Unreachable,
    WrongContext,
    WrongKey,
    WrongManifest,
    WrongSigner,
)
from storage.manifest import Manifest, PayloadFacts, read_manifest, write_manifest
from storage.payload import SEGMENT_SIZE, SegmentCipher, key_commitment
from storage.private_swarm import PrivateSwarm
from storage.unixfs import CHUNK_SIZE
from tests.storage import kit
from tests.storage.conftest import CONTEXT, SCHEMA, OnKubo, World

pytestmark = pytest.mark.timeout(1800)
EVE = Sender(b"\xee" * 20, SigningKey.generate())


@pytest.fixture(params=["embedded", pytest.param("kubo", marks=pytest.mark.engine("kubo"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A store that a test spoils: a folder, or a real node's."""
    if request.param == "embedded":
        yield World(EmbeddedStore.create(tmp_path / "store"))
        return
    swarm: PrivateSwarm = request.getfixturevalue("swarm")
    with kit.kubo(swarm.nodes["hill"]) as backend:
        yield OnKubo(backend)
        for cid in backend.store.pins():  # a spoiled one keeps the node from removing any block
            backend.store.unpin(cid)


def flip(world: World, cid: Cid, position: int) -> None:
    file = world.block_file(cid)
    block = bytearray(file.read_bytes())
    block[position] ^= 1
    file.write_bytes(block)


@pytest.mark.parametrize("what", ["payload", "manifest", "envelope"])
@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_byte_flipped_on_disk_is_named_by_its_cid(world: World, what: str, position: int) -> None:
    sealed = world.seal(b"an update of some bytes")
    assert world.open(sealed).read() == b"an update of some bytes"
    cid = {
        "payload": read_manifest(world.store, sealed.manifest_digest).payload,
        "manifest": sealed.manifest_cid,
        "envelope": sealed.envelope_cid,
    }[what]
    flip(world, cid, position)
    with pytest.raises(CorruptBlock, match=str(cid)):
        world.open(sealed).read()


@pytest.mark.parametrize("what", ["payload", "manifest", "envelope"])
def test_a_block_that_is_gone_is_named_by_its_cid(world: World, what: str) -> None:
    sealed = world.seal(b"update")
    cid = {
        "payload": read_manifest(world.store, sealed.manifest_digest).payload,
        "manifest": sealed.manifest_cid,
        "envelope": sealed.envelope_cid,
    }[what]
    world.block_file(cid).unlink()
    with pytest.raises(MissingBlock, match=str(cid)):
        world.open(sealed).read()


def test_a_store_that_goes_away_is_told_from_an_artefact_that_does_not_open(
    tmp_path: Path,
) -> None:
    world = World(EmbeddedStore.create(tmp_path / "own"))
    sealed = world.seal(b"update")
    world.store.path.rename(world.store.path.with_name("gone"))
    with pytest.raises(Unreachable):
        world.open(sealed)


def forge(world: World, cid: Cid, change: dict[str, Any]) -> bytes:
    """The record with a changed body and its old signature."""
    record = dagcbor.decode(world.store.get_block(cid))
    record["body"] |= change
    return put_record(world.store, record).digest


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "model"},
        {"context": bytes(32)},
        {"plaintext_size": 5},
        {"payload": Cid.of(Codec.RAW, b"")},
        {"key_commitment": bytes(32)},
        {"commitment": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_with_a_changed_field_has_a_bad_signature(
    world: World, change: dict[str, Any]
) -> None:
    sealed = world.seal(b"update")
    with pytest.raises(BadSignature, match=world.sender.signing_key.public.hex()):
        read_manifest(world.store, forge(world, sealed.manifest_cid, change))


def resign(world: World, cid: Cid, change: dict[str, Any], *, drop: str = "") -> bytes:
    """A manifest of the same sender with a changed body, rightly signed."""
    body = dagcbor.decode(world.store.get_block(cid))["body"] | change
    body.pop(drop, None)
    block = sign_record(tags.MANIFEST, body, world.sender)
    return world.store.put_block(Codec.DAG_CBOR, block).digest


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 1},
        {"context": b"short"},
        {"plaintext_size": -1},
        {"plaintext_size": True},
        {"plaintext_size": 2**64 - 1},
        {"payload_size": 0},
        {"payload": b"no link"},
        {"profile": "aes-256-gcm/stream/2MiB"},
        {"extra": 1},
        {"nonce_prefix": bytes(8)},
    ],
    ids=lambda change: "-".join(map(str, next(iter(change.items())))),
)
def test_a_signed_manifest_of_another_shape_is_malformed(
    world: World, change: dict[str, Any]
) -> None:
    digest = resign(world, world.seal(b"update").manifest_cid, change)
    with pytest.raises(MalformedRecord):
        read_manifest(world.store, digest)


def test_a_signed_manifest_that_lacks_a_field_is_malformed(world: World) -> None:
    sealed = world.seal(b"update")
    with pytest.raises(MalformedRecord, match="does not have the fields"):
        read_manifest(world.store, resign(world, sealed.manifest_cid, {}, drop="schema"))


def test_an_envelope_is_no_manifest_and_a_file_is_neither(world: World) -> None:
    sealed = world.seal(b"update")
    with pytest.raises(MalformedRecord, match="is a 'consilium/envelope/1'"):
        read_manifest(world.store, sealed.envelope_cid.digest)
    payload = read_manifest(world.store, sealed.manifest_digest).payload
    with pytest.raises(MalformedBlock, match="not canonical dag-cbor"):
        read_manifest(world.store, payload.digest)


def test_a_record_signed_for_another_use_is_refused(world: World) -> None:
    """The tag is in the signature: renaming the use does not carry it over."""
    sealed = world.seal(b"update")
    record = dagcbor.decode(world.store.get_block(sealed.envelope_cid))
    record["tag"] = tags.MANIFEST
    cid = put_record(world.store, record)
    with pytest.raises(BadSignature):
        read_manifest(world.store, cid.digest)


def test_a_manifest_signed_anew_by_another_is_not_the_senders(world: World) -> None:
    sealed = world.seal(b"update")
    body = dagcbor.decode(world.store.get_block(sealed.manifest_cid))["body"]
    stolen = world.store.put_block(Codec.DAG_CBOR, sign_record(tags.MANIFEST, body, EVE))
    with pytest.raises(WrongSigner):
        world.open(replace(sealed, manifest_digest=stolen.digest))


def envelope_of(world: World, manifest: Manifest, change: dict[str, Any], signer: Sender) -> Cid:
    """Eve's variant of the announced envelope, announced in its place."""
    (known,) = world.store.announced(manifest.digest)
    body = dagcbor.decode(world.store.get_block(known))["body"] | change
    cid = world.store.put_block(Codec.DAG_CBOR, sign_record(tags.ENVELOPE, body, signer))
    world.silence(manifest.digest, known)
    world.store.announce(manifest.digest, cid)
    return cid


def test_an_envelope_swapped_between_two_artefacts_is_refused(world: World) -> None:
    first, second = world.seal(b"one"), world.seal(b"two")
    world.silence(first.manifest_digest, first.envelope_cid)
    world.store.announce(first.manifest_digest, second.envelope_cid)
    with pytest.raises(WrongManifest, match=str(second.envelope_cid)):
        world.open(first)


def test_wraps_moved_into_an_envelope_for_another_artefact_do_not_open(world: World) -> None:
    first, second = world.seal(b"one"), world.seal(b"two")
    wraps = dagcbor.decode(world.store.get_block(second.envelope_cid))["body"]["wraps"]
    manifest = read_manifest(world.store, first.manifest_digest)
    envelope_of(world, manifest, {"wraps": wraps}, world.sender)
    with pytest.raises(WrongKey, match=world.center.recipient.key_id.hex()):
        world.open(first)


def test_wraps_under_another_signers_name_do_not_open(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    envelope_of(world, manifest, {}, EVE)
    with pytest.raises(WrongKey):
        world.open(sealed)


def test_wraps_exchanged_between_recipients_do_not_open(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    wraps = dagcbor.decode(world.store.get_block(sealed.envelope_cid))["body"]["wraps"]
    one, two = wraps
    one["wrap"], two["wrap"] = two["wrap"], one["wrap"]
    envelope_of(world, manifest, {"wraps": wraps}, world.sender)
    with pytest.raises(WrongKey):
        world.open(sealed)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"context": bytes(32)}, WrongContext),
        ({"wraps": [1]}, MalformedRecord),
        ({"wraps": [{"profile": "rsa", "recipient": bytes(32), "wrap": b""}]}, MalformedRecord),
        ({"wraps": [{"profile": "x25519", "recipient": bytes(32), "wrap": b""}]}, MalformedRecord),
        (
            {"wraps": [{"profile": "x25519", "recipient": bytes(32), "wrap": bytes(80)}] * 2},
            MalformedRecord,
        ),
        ({"wraps": []}, NotARecipient),
    ],
)
def test_an_ill_formed_envelope_is_refused(
    world: World, change: dict[str, Any], error: type[StorageError]
) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    envelope_of(world, manifest, change, world.sender)
    with pytest.raises(error):
        world.open(sealed)


def test_an_envelope_with_a_changed_wrap_has_a_bad_signature(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    digest = forge(world, sealed.envelope_cid, {"wraps": []})
    with pytest.raises(BadSignature):
        read_envelope(world.store, manifest, Cid(Codec.DAG_CBOR, digest))


def test_another_data_key_than_the_one_committed_to_is_refused(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    key_id = world.center.recipient.key_id
    wrap = world.center.recipient.wrap(bytes(32), wrap_info(manifest, EVE.signer, key_id))
    wraps = [{"profile": "x-wing", "recipient": key_id, "wrap": wrap}]
    envelope_of(world, manifest, {"wraps": wraps}, EVE)
    with pytest.raises(KeyCommitmentMismatch, match=f"signed by {EVE.signer}"):
        world.open(sealed)


def test_junk_announced_by_a_member_does_not_hide_the_good_envelope(world: World) -> None:
    sealed = world.seal(b"update")
    absent = [Cid.of(Codec.DAG_CBOR, bytes([number])) for number in range(4)]
    junk = [world.store.put_block(Codec.RAW, b"junk %d" % number) for number in range(20)]
    world.store.announce(sealed.manifest_digest, *absent, *junk)
    assert world.open(sealed).read() == b"update"


def dishonest(world: World, payload: bytes, plaintext_size: int, own: Secrets) -> Manifest:
    """What a sender signs about a payload that is not what it says."""
    manifest = read_manifest(world.store, world.seal(b"").manifest_digest)
    facts = replace(
        manifest,
        payload=world.store.add_file(io.BytesIO(payload)),
        plaintext_size=plaintext_size,
        nonce_prefix=own.nonce_prefix,
        key_commitment=key_commitment(own.data_key, CONTEXT),
    )
    manifest = read_manifest(world.store, write_manifest(world.store, facts, world.sender).digest)
    write_envelope(world.store, manifest, own.data_key, world.sender, [world.center.recipient])
    return manifest


def read_whole(world: World, manifest: Manifest) -> bytes:
    sealed = replace(world.seal(b""), manifest_digest=manifest.digest)
    return world.open(sealed).read()


def two_segments(own: Secrets) -> tuple[bytes, bytes]:
    cipher = SegmentCipher(own.data_key, own.nonce_prefix, CONTEXT)
    first = cipher.seal(0, os.urandom(SEGMENT_SIZE), last=False)
    return first, cipher.seal(1, b"end", last=True)


@pytest.mark.parametrize(
    ("make", "plaintext_size", "error"),
    [
        (lambda a, b: a + b, SEGMENT_SIZE + 3, None),
        (lambda a, b: a, SEGMENT_SIZE + 3, Truncated),
        (lambda a, b: a, SEGMENT_SIZE, CorruptPayload),  # cut off, and signed as whole
        (lambda a, b: a + b[:-1], SEGMENT_SIZE + 3, Truncated),
        (lambda a, b: a + b + b"more", SEGMENT_SIZE + 3, Truncated),
        (lambda a, b: a + b, SEGMENT_SIZE, CorruptPayload),  # the tail disowned
        (lambda a, b: b, 3, CorruptPayload),  # the head cut off
        (lambda a, b: a + a, 2 * SEGMENT_SIZE, CorruptPayload),
        (lambda a, b: b"", 0, Truncated),
        (lambda a, b: bytes(16), 0, CorruptPayload),
    ],
)
def test_a_payload_that_is_not_what_its_sender_signed_is_refused(
    world: World, make: Any, plaintext_size: int, error: type[StorageError] | None
) -> None:
    own = Secrets.fresh()
    manifest = dishonest(world, make(*two_segments(own)), plaintext_size, own)
    if error is None:
        assert len(read_whole(world, manifest)) == plaintext_size
        return
    with pytest.raises(error):
        read_whole(world, manifest)


def test_a_leaf_after_the_last_segment_is_refused(world: World) -> None:
    own = Secrets.fresh()
    whole = SegmentCipher(own.data_key, own.nonce_prefix, CONTEXT).seal(
        0, bytes(SEGMENT_SIZE), last=True
    )
    assert len(read_whole(world, dishonest(world, whole, SEGMENT_SIZE, own))) == SEGMENT_SIZE
    with pytest.raises(Truncated, match="holds more than"):
        read_whole(world, dishonest(world, whole + b"more", SEGMENT_SIZE, own))


def test_a_payload_sealed_in_another_context_does_not_open_in_this_one(world: World) -> None:
    own = Secrets.fresh()
    elsewhere = SegmentCipher(own.data_key, own.nonce_prefix, b"e" * 32).seal(0, b"x", last=True)
    manifest = dishonest(world, elsewhere, 1, own)
    with pytest.raises(CorruptPayload):
        read_whole(world, manifest)


@pytest.mark.parametrize("claimed", [1 << 40, SEGMENT_SIZE << 31])
def test_a_claim_of_more_than_there_is_takes_no_memory_for_it(world: World, claimed: int) -> None:
    own = Secrets.fresh()
    cipher = SegmentCipher(own.data_key, own.nonce_prefix, CONTEXT)
    leaf = cipher.seal(0, bytes(SEGMENT_SIZE), last=False)
    cid = world.store.put_block(Codec.RAW, leaf)
    link = Link(cid, CHUNK_SIZE, CHUNK_SIZE)
    while link.file_size < claimed:  # the same leaf, a thousand million times in three nodes
        node = encode_node([link] * 1024)
        root = world.store.put_block(Codec.DAG_PB, node)
        link = Link(root, 1024 * link.file_size, 1024 * link.dag_size + len(node))
    facts = PayloadFacts(
        kind="update",
        schema=SCHEMA,
        context=CONTEXT,
        payload=link.cid,
        plaintext_size=claimed,
        nonce_prefix=own.nonce_prefix,
        key_commitment=key_commitment(own.data_key, CONTEXT),
        commitment=bytes(32),
    )
    manifest = read_manifest(world.store, write_manifest(world.store, facts, world.sender).digest)
    write_envelope(world.store, manifest, own.data_key, world.sender, [world.center.recipient])
    opened = open_artefact(
        world.store,
        manifest.digest,
        world.center,
        expected_context=CONTEXT,
        expected_signer=world.sender.signer,
    )
    tracemalloc.start()
    with pytest.raises((Truncated, CorruptPayload)):
        opened.read()
    with pytest.raises((Truncated, CorruptPayload)):
        opened.payload.copy_to(lambda _offset, _segment: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
