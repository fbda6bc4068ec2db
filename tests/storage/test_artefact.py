import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import (
    EmbeddedStore,
    Identity,
    Profile,
    Sealed,
    Sender,
    SigningKey,
    check_commitment,
    open_artefact,
    publish,
    read_manifest,
    rewrap,
    seal,
)
from storage.errors import (
    CommitmentMismatch,
    MalformedRecord,
    MissingBlock,
    NoRecipients,
    NotARecipient,
    WrongContext,
    WrongSigner,
)
from storage.payload import SEGMENT_SIZE
from tests.storage.conftest import CONTEXT, SCHEMA, World

EDGES = [0, 1, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 2 * SEGMENT_SIZE, 3 << 20]


@pytest.mark.parametrize("size", EDGES)
def test_an_artefact_reads_back_whole_and_by_segment(world: World, size: int) -> None:
    plaintext = os.urandom(size)
    sealed = world.seal(plaintext)
    opened = world.open(sealed)
    assert opened.read() == plaintext
    count = opened.payload.segment_count
    segments = [opened.payload.segment(index) for index in range(count)]
    assert b"".join(segments) == plaintext
    assert all(len(segment) == SEGMENT_SIZE for segment in segments[:-1])
    assert opened.manifest.plaintext_size == sealed.plaintext_size == size
    stored = sum(len(piece) for piece in world.store.cat(opened.manifest.payload))
    assert opened.manifest.payload_size == sealed.payload_size == stored == size + 16 * count
    with pytest.raises(IndexError):
        opened.payload.segment(count)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plaintext=st.binary(max_size=2000))
def test_any_plaintext_reads_back_for_every_recipient(world: World, plaintext: bytes) -> None:
    sealed = world.seal(plaintext)
    assert world.open(sealed, world.center).read() == plaintext
    assert world.open(sealed, world.auditor).read() == plaintext


def test_a_segment_is_read_without_the_blocks_of_others(world: World) -> None:
    plaintext = os.urandom(3 * SEGMENT_SIZE)
    opened = world.open(world.seal(plaintext))
    first = b"".join(world.store.cat(opened.manifest.payload, 0, 1 << 20))
    for file in (world.store.path / "blocks").glob("*/*"):
        if file.read_bytes() == first:
            file.unlink()
    assert opened.payload.segment(1) == plaintext[SEGMENT_SIZE : 2 * SEGMENT_SIZE]
    with pytest.raises(MissingBlock):
        opened.payload.segment(0)


def test_a_stream_with_short_reads_seals_as_its_bytes_do(world: World) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 65_537))

    plaintext = os.urandom(SEGMENT_SIZE + 100)
    sealed = seal(
        world.store,
        Dripping(plaintext),
        kind="model",
        schema=SCHEMA,
        context=CONTEXT,
        sender=world.sender,
        recipients=[world.center.recipient],
    )
    assert world.open(sealed).read() == plaintext


def test_two_seals_of_one_plaintext_share_nothing(world: World) -> None:
    first, second = world.seal(b"same"), world.seal(b"same")
    assert first.manifest_digest != second.manifest_digest
    assert first.envelope_cid != second.envelope_cid
    assert first.commitment != second.commitment
    one, two = (read_manifest(world.store, s.manifest_digest) for s in (first, second))
    assert one.payload != two.payload
    assert one.key_commitment != two.key_commitment


def test_recipients_of_both_profiles_read_one_artefact(world: World) -> None:
    readers = [Identity.generate(profile) for profile in Profile]
    sealed = seal(
        world.store,
        b"model",
        kind="model",
        schema=SCHEMA,
        context=CONTEXT,
        sender=world.sender,
        recipients=[reader.recipient for reader in readers],
    )
    assert [world.open(sealed, reader).read() for reader in readers] == [b"model"] * 2


def test_the_manifest_says_what_anyone_may_check_without_a_key(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    assert (manifest.kind, manifest.schema, manifest.context) == ("update", SCHEMA, CONTEXT)
    assert manifest.signer == world.sender.signer
    assert manifest.commitment == sealed.commitment
    assert manifest.cid == sealed.manifest_cid
    manifest.expect(context=CONTEXT, signer=world.sender.signer)


def test_neither_salt_nor_plaintext_nor_envelope_is_in_any_block(world: World) -> None:
    sealed = world.seal(b"a plaintext that is long enough to be told from chance")
    blocks = [file.read_bytes() for file in (world.store.path / "blocks").glob("*/*")]
    assert len(blocks) == 3
    assert not [block for block in blocks if sealed.salt in block or b"plaintext that" in block]
    manifest = world.store.get_block(sealed.manifest_cid)
    assert sealed.envelope_cid.digest not in manifest


def test_the_salt_proves_later_what_was_sealed(world: World) -> None:
    sealed = world.seal(b"update")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    check_commitment(manifest, sealed.salt, b"update")
    for salt, plaintext in ((sealed.salt, b"updatE"), (bytes(32), b"update")):
        with pytest.raises(CommitmentMismatch):
            check_commitment(manifest, salt, plaintext)


def test_a_stranger_is_told_to_ask_for_an_envelope(world: World) -> None:
    sealed = world.seal(b"update")
    with pytest.raises(NotARecipient, match=world.stranger.recipient.key_id.hex()):
        world.open(sealed, world.stranger)


def test_a_context_of_another_round_is_refused(world: World) -> None:
    sealed = world.seal(b"update", context=b"r" * 32)
    with pytest.raises(WrongContext, match=CONTEXT.hex()):
        world.open(sealed)


def test_another_signer_than_the_expected_is_refused(world: World) -> None:
    sealed = world.seal(b"update")
    address, key = world.sender.address, world.sender.signing_key
    for other in (Sender(address, SigningKey.generate()), Sender(b"\xbb" * 20, key)):
        with pytest.raises(WrongSigner):
            open_artefact(
                world.store,
                sealed.manifest_digest,
                world.center,
                expected_context=CONTEXT,
                expected_signer=other.signer,
            )


def test_an_allowed_recipient_wraps_for_another_and_changes_nothing_bound(world: World) -> None:
    sealed = world.seal(b"update")
    before = world.store.get_block(sealed.manifest_cid)
    wrapper = Sender(b"\xcc" * 20, SigningKey.generate())
    envelope = rewrap(
        world.store,
        sealed.manifest_digest,
        world.auditor,
        wrapper=wrapper,
        recipients=[world.stranger.recipient],
        expected_context=CONTEXT,
        expected_signer=world.sender.signer,
    )
    assert world.open(sealed, world.stranger).read() == b"update"
    assert world.open(sealed, world.center).read() == b"update"
    assert world.store.get_block(sealed.manifest_cid) == before
    announced = world.store.announced(sealed.manifest_digest)
    assert announced == sorted([envelope, sealed.envelope_cid])


def test_who_cannot_open_cannot_wrap_for_another(world: World) -> None:
    sealed = world.seal(b"update")
    with pytest.raises(NotARecipient):
        rewrap(
            world.store,
            sealed.manifest_digest,
            world.stranger,
            wrapper=world.sender,
            recipients=[world.stranger.recipient],
            expected_context=CONTEXT,
            expected_signer=world.sender.signer,
        )


def test_what_nobody_could_open_is_not_sealed(world: World) -> None:
    with pytest.raises(NoRecipients):
        seal(
            world.store,
            b"",
            kind="update",
            schema=SCHEMA,
            context=CONTEXT,
            sender=world.sender,
            recipients=[],
        )
    assert list((world.store.path / "blocks").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "schema", "context"),
    [("", SCHEMA, CONTEXT), ("update", b"", CONTEXT), ("update", SCHEMA, CONTEXT[:31])],
)
def test_ill_formed_terms_are_refused_before_anything_is_written(
    world: World, kind: str, schema: bytes, context: bytes
) -> None:
    with pytest.raises(MalformedRecord):
        seal(
            world.store,
            b"update",
            kind=kind,
            schema=schema,
            context=context,
            sender=world.sender,
            recipients=[world.center.recipient],
        )
    assert list((world.store.path / "blocks").iterdir()) == []


def test_a_sender_who_starts_again_submits_the_same_artefact(world: World) -> None:
    sealed = world.seal(b"update")
    kept = json.dumps(sealed.to_json())
    again = Sealed.from_json(json.loads(kept))
    assert again == sealed
    world.store.unpin(sealed.envelope_cid)
    publish(world.store, again)
    assert world.store.pins() == [sealed.envelope_cid]
    assert world.open(again).read() == b"update"


def test_starting_again_notices_a_store_that_lost_the_payload(world: World) -> None:
    sealed = world.seal(b"update")
    payload = read_manifest(world.store, sealed.manifest_digest).payload
    world.block_file(payload).unlink()
    with pytest.raises(MissingBlock, match=str(payload)):
        publish(world.store, sealed)


@pytest.mark.parametrize("field", ["manifest", "envelope", "commitment", "salt", "plaintext_size"])
@pytest.mark.parametrize("value", [None, "", "zz", "00"])
def test_what_was_kept_and_then_damaged_is_refused(
    world: World, field: str, value: str | None
) -> None:
    fields: dict[str, object] = dict(world.seal(b"update").to_json())
    if value is None:
        del fields[field]
    elif (field, value) == ("plaintext_size", "00"):
        fields[field] = "many"
    else:
        fields[field] = value
    with pytest.raises(MalformedRecord, match="lacks a field or has an ill-formed one"):
        Sealed.from_json(fields)


def test_secrets_do_not_show_themselves(world: World) -> None:
    sealed = world.seal(b"update")
    assert repr(sealed.salt) not in repr(sealed)
    opened = world.open(sealed)
    assert "data_key" not in repr(opened)


def test_a_second_store_with_the_same_blocks_serves_the_same_artefact(
    world: World, new_store: Callable[[str], EmbeddedStore], tmp_path: Path
) -> None:
    """CIDs do not depend on the store: copied blocks and one announcement are enough."""
    sealed = world.seal(b"update")
    other = new_store("other")
    manifest = read_manifest(world.store, sealed.manifest_digest)
    for cid in (manifest.payload, manifest.cid, sealed.envelope_cid):
        assert other.put_block(cid.codec, world.store.get_block(cid)) == cid
    publish(other, sealed)
    opened = open_artefact(
        other,
        sealed.manifest_digest,
        world.auditor,
        expected_context=CONTEXT,
        expected_signer=world.sender.signer,
    )
    assert opened.read() == b"update"
