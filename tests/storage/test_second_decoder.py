"""The second decoder reads the vectors and fresh artefacts, and refuses what is not right."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import EmbeddedStore, Identity, Profile, Sender, SigningKey, dagcbor, rewrap, seal
from storage.errors import MalformedBlock
from storage.payload import SEGMENT_SIZE
from tests.storage.second_decoder import (
    LEAF,
    Refused,
    announced,
    canonical,
    cbor,
    decode,
    folder,
    manifest_of,
)
from tests.storage.test_vectors import cid_bytes, file_node, payload_of, plaintext_of, vectors

CBOR = json.loads((Path(__file__).parents[1] / "vectors/artefact/dag-cbor.json").read_text())
SENDER = Sender(b"\xaa" * 20, SigningKey(b"\x01" * 32))
CONTEXT = bytes(range(32))
SIZES = [0, 1, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 3 * SEGMENT_SIZE + 5]


def kept(vector: dict[str, Any]) -> dict[bytes, bytes]:
    """The vector's blocks by digest; those of the payload follow from its inputs."""
    payload = payload_of(vector, plaintext_of(vector))
    leaves = [payload[at : at + LEAF] for at in range(0, len(payload), LEAF)]
    blocks = [bytes.fromhex(vector[name]["hex"]) for name in ("manifest", "envelope")]
    blocks += [*leaves, *([file_node(payload)] if len(leaves) > 1 else [])]
    return {hashlib.sha256(block).digest(): block for block in blocks}


@vectors
def test_every_vector_opens_for_every_recipient(vector: dict[str, Any]) -> None:
    blocks = kept(vector)
    digest = cid_bytes(vector["manifest"]["cid"])[4:]
    for recipient in vector["recipients"]:
        found = decode(
            blocks.__getitem__,
            digest,
            [cid_bytes(vector["envelope"]["cid"])],
            recipient["profile"],
            bytes.fromhex(recipient["seed"]),
        )
        assert found == plaintext_of(vector)


def sealed(tmp_path: Path, plaintext: bytes, *readers: Identity) -> tuple[EmbeddedStore, bytes]:
    store = EmbeddedStore.create(tmp_path)
    made = seal(
        store,
        plaintext,
        kind="update",
        schema=bytes(32),
        context=CONTEXT,
        sender=SENDER,
        recipients=[reader.recipient for reader in readers],
    )
    return store, made.manifest_digest


def read(store: EmbeddedStore, digest: bytes, reader: Identity) -> bytes:
    found = list(announced(store.path, digest))
    return decode(folder(store.path), digest, found, reader.profile.value, reader.seed)


@pytest.mark.parametrize("size", SIZES)
def test_a_fresh_artefact_opens_for_both_profiles(tmp_path: Path, size: int) -> None:
    plaintext = os.urandom(size)
    readers = [Identity.generate(profile) for profile in Profile]
    store, digest = sealed(tmp_path, plaintext, *readers)
    for reader in readers:
        assert read(store, digest, reader) == plaintext
    with pytest.raises(Refused, match="no envelope"):
        read(store, digest, Identity.generate())


def test_a_recipient_who_was_added_reads_it_too(tmp_path: Path) -> None:
    first, added = Identity.generate(), Identity.generate(Profile.X25519)
    store, digest = sealed(tmp_path, b"plain", first)
    rewrap(
        store,
        digest,
        first,
        wrapper=Sender(b"\xbb" * 20, SigningKey.generate()),
        recipients=[added.recipient],
        expected_context=CONTEXT,
        expected_signer=SENDER.signer,
    )
    assert read(store, digest, added) == b"plain"


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_byte_flipped_in_any_block_is_refused(tmp_path: Path, place: str) -> None:
    reader = Identity.generate()
    store, digest = sealed(tmp_path, os.urandom(2 * SEGMENT_SIZE), reader)
    files = [path for path in (tmp_path / "blocks").rglob("*") if path.is_file()]
    assert len(files) == 5
    for file in files:
        block = file.read_bytes()
        at = {"first": 0, "middle": len(block) // 2, "last": len(block) - 1}[place]
        file.write_bytes(block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :])
        with pytest.raises(Refused):
            read(store, digest, reader)
        file.write_bytes(block)
    assert len(read(store, digest, reader)) == 2 * SEGMENT_SIZE
    assert manifest_of(folder(store.path), digest)[1]["key"] == SENDER.signing_key.public


@pytest.mark.parametrize("entry", CBOR["refused"], ids=lambda entry: str(entry)[:40])
def test_both_decoders_refuse_the_same_spellings(entry: dict[str, str]) -> None:
    with pytest.raises(Refused):
        cbor(bytes.fromhex(entry["hex"]))


@pytest.mark.parametrize("entry", CBOR["canonical"], ids=lambda entry: str(entry)[:40])
def test_both_decoders_take_the_same_canonical_blocks(entry: dict[str, str]) -> None:
    block = bytes.fromhex(entry["hex"])
    assert canonical(cbor(block)) == block


@given(st.binary(max_size=64))
def test_both_decoders_agree_on_any_bytes(block: bytes) -> None:
    def taken_by_ours() -> bool:
        try:
            dagcbor.decode(block)
        except MalformedBlock:
            return False
        return True

    def taken_by_second() -> bool:
        try:
            cbor(block)
        except Refused:
            return False
        return True

    assert taken_by_ours() == taken_by_second()
