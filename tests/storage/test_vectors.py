"""The committed vectors say what docs/artefact.md says, computed without `storage`."""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.storage.make_vectors import vector_files
from tests.storage.second_decoder import LEAF, SEGMENT, cid_text, expand, extract, hpke_open
from tests.storage.second_decoder import record as signed_record

FOLDER = Path(__file__).parents[1] / "vectors" / "artefact"
VECTORS = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("sealed-*.json"))]

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def test_the_files_are_what_the_generator_writes() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} - {"cids.json"} == {
        path.name for path in vector_files()
    }
    for path, content in vector_files().items():
        assert json.loads(path.read_text()) == content, path.name


def record(entry: dict[str, str], tag: str) -> tuple[dict[str, Any], dict[str, bytes], bytes]:
    block = bytes.fromhex(entry["hex"])
    digest = hashlib.sha256(block).digest()
    assert entry["cid"] == cid_text(b"\x01\x71\x12\x20" + digest)
    return *signed_record(block, tag), digest


def cid_bytes(text: str) -> bytes:
    return base64.b32decode(text[1:].upper() + "=" * (-(len(text) - 1) % 8))


def plaintext_of(vector: dict[str, Any]) -> bytes:
    shown = vector["plaintext"]
    if "hex" in shown:
        return bytes.fromhex(shown["hex"])
    return bytes(i % 251 for i in range(shown["pattern_size"]))


def payload_of(vector: dict[str, Any], plaintext: bytes) -> bytes:
    """Sealed from the inputs: the payload's bytes follow from them alone."""
    context = bytes.fromhex(vector["context"])
    data_key = bytes.fromhex(vector["data_key"])
    cipher = AESGCM(expand(extract(context, data_key), b"consilium/payload-key/1", 32))
    pieces = [plaintext[at : at + SEGMENT] for at in range(0, max(1, len(plaintext)), SEGMENT)]
    prefix = bytes.fromhex(vector["nonce_prefix"])
    return b"".join(
        cipher.encrypt(
            prefix + struct.pack(">I", index) + bytes([index == len(pieces) - 1]),
            piece,
            b"consilium/segment/1" + context,
        )
        for index, piece in enumerate(pieces)
    )


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def file_cid(content: bytes) -> bytes:
    """A file of at most 1024 leaves."""
    if len(content) <= LEAF:
        return b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
    return b"\x01\x70\x12\x20" + hashlib.sha256(file_node(content)).digest()


def file_node(content: bytes) -> bytes:
    """The root of a file of 2 to 1024 leaves."""
    node, data = b"", b"\x08\x02\x18" + varint(len(content))
    for at in range(0, len(content), LEAF):
        leaf = content[at : at + LEAF]
        cid = b"\x01\x55\x12\x20" + hashlib.sha256(leaf).digest()
        link = b"\x0a\x24" + cid + b"\x12\x00\x18" + varint(len(leaf))
        node += b"\x12" + varint(len(link)) + link
        data += b"\x20" + varint(len(leaf))
    return node + b"\x0a" + varint(len(data)) + data


@vectors
def test_the_manifest_says_what_the_inputs_give(vector: dict[str, Any]) -> None:
    body, signer, _ = record(vector["manifest"], "consilium/manifest/1")
    plaintext = plaintext_of(vector)
    payload = payload_of(vector, plaintext)
    if "hex" in vector["payload"]:
        assert payload.hex() == vector["payload"]["hex"]
    context, salt = bytes.fromhex(vector["context"]), bytes.fromhex(vector["salt"])
    sender = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["sender"]["seed"]))
    bound = salt + context + struct.pack(">Q", len(plaintext)) + hashlib.sha256(plaintext).digest()
    data_key = bytes.fromhex(vector["data_key"])
    commitment = hashlib.sha256(b"consilium/plaintext-commitment/1" + bound).digest()
    assert body == {
        "commitment": commitment,
        "context": context,
        "key_commitment": expand(extract(context, data_key), b"consilium/key-commitment/1", 32),
        "kind": vector["kind"],
        "nonce_prefix": bytes.fromhex(vector["nonce_prefix"]),
        "payload": file_cid(payload),
        "payload_size": len(payload),
        "plaintext_size": len(plaintext),
        "profile": "aes-256-gcm/stream/1MiB",
        "schema": bytes.fromhex(vector["schema"]),
    }
    assert signer == {
        "address": bytes.fromhex(vector["sender"]["address"]),
        "key": sender.public_key().public_bytes_raw(),
    }


@vectors
def test_every_recipient_gets_the_data_key_out_of_the_envelope(vector: dict[str, Any]) -> None:
    _, _, manifest = record(vector["manifest"], "consilium/manifest/1")
    body, signer, _ = record(vector["envelope"], "consilium/envelope/1")
    context = bytes.fromhex(vector["context"])
    assert body["context"] == context
    assert body["manifest"] == b"\x01\x71\x12\x20" + manifest
    wraps = {wrap["recipient"]: wrap for wrap in body["wraps"]}
    assert list(wraps) == sorted(wraps)
    assert len(wraps) == len(vector["recipients"])
    for recipient in vector["recipients"]:
        key_id = bytes.fromhex(recipient["key_id"])
        info = b"consilium/wrap/1" + context + manifest + signer["address"] + signer["key"] + key_id
        wrap = wraps[key_id]
        assert wrap["profile"] == recipient["profile"]
        data_key = hpke_open(wrap["profile"], bytes.fromhex(recipient["seed"]), wrap["wrap"], info)
        assert data_key.hex() == vector["data_key"]
