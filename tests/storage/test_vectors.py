"""A reader of artefacts written from docs/artefact.md alone: it imports nothing of `storage`."""

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.storage.make_vectors import vector_files

FOLDER = Path(__file__).parents[1] / "vectors" / "artefact"
VECTORS = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("sealed-*.json"))]
SEGMENT = 1_048_560
LEAF = 1_048_576

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def test_the_files_are_what_the_generator_writes() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} - {"cids.json"} == {
        path.name for path in vector_files()
    }
    for path, content in vector_files().items():
        assert json.loads(path.read_text()) == content, path.name


def cbor(block: bytes) -> Any:
    """A decoder of as much CBOR as records use; a link becomes its CID's bytes."""

    def item(at: int) -> tuple[Any, int]:
        major, info, at = block[at] >> 5, block[at] & 31, at + 1
        if info >= 24:
            size = 1 << (info - 24)
            info, at = int.from_bytes(block[at : at + size], "big"), at + size
        if major == 0:
            return info, at
        if major in (2, 3):
            raw = block[at : at + info]
            return (raw if major == 2 else raw.decode()), at + info
        if major == 6:
            raw, at = item(at)
            return raw[1:], at
        out: list[Any] = []
        for _ in range(info * (2 if major == 5 else 1)):
            element, at = item(at)
            out.append(element)
        return (dict(zip(out[::2], out[1::2], strict=True)) if major == 5 else out), at

    value, end = item(0)
    assert end == len(block)
    return value


def head(major: int, size: int) -> bytes:
    if size < 24:
        return bytes([major << 5 | size])
    if size < 256:
        return bytes([major << 5 | 24, size])
    return bytes([major << 5 | 25]) + struct.pack(">H", size)


def without_signature(block: bytes) -> bytes:
    """The same map without "signature": keys in order are tag, body, signer, signature."""
    key = head(3, 9) + b"signature" + head(2, 64)
    at = block.index(key)
    assert at + len(key) + 64 == len(block)
    assert block[0] == 0xA4
    return b"\xa3" + block[1:at]


def record(entry: dict[str, str], tag: str) -> tuple[dict[str, Any], dict[str, bytes], bytes]:
    block = bytes.fromhex(entry["hex"])
    digest = hashlib.sha256(block).digest()
    cid = b"\x01\x71\x12\x20" + digest
    assert entry["cid"] == "b" + base64.b32encode(cid).decode().lower().rstrip("=")
    value = cbor(block)
    assert value["tag"] == tag
    signed = tag.encode() + hashlib.sha256(without_signature(block)).digest()
    Ed25519PublicKey.from_public_bytes(value["signer"]["key"]).verify(value["signature"], signed)
    return value["body"], value["signer"], digest


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(prk: bytes, info: bytes, size: int) -> bytes:
    out, block = b"", b""
    for counter in range(1, 256):
        if len(out) >= size:
            break
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
    return out[:size]


def hpke_open(profile: str, seed: bytes, wrap: bytes, info: bytes) -> bytes:
    """RFC 9180, base mode, sections 4 to 5; X-Wing by draft-connolly-cfrg-xwing-kem."""
    if profile == "x25519":
        kem, encapsulated, sealed = 0x0020, wrap[:32], wrap[32:]
        private = X25519PrivateKey.from_private_bytes(seed)
        dh = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
        suite = b"KEM" + struct.pack(">H", kem)
        prk = extract(b"", b"HPKE-v1" + suite + b"eae_prk" + dh)
        kem_context = encapsulated + private.public_key().public_bytes_raw()
        label = struct.pack(">H", 32) + b"HPKE-v1" + suite + b"shared_secret"
        shared = expand(prk, label + kem_context, 32)
    else:
        kem, encapsulated, sealed = 0x647A, wrap[:1120], wrap[1120:]
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        private = X25519PrivateKey.from_private_bytes(expanded[64:])
        share = encapsulated[1088:]
        both = mlkem.decapsulate(encapsulated[:1088])
        both += private.exchange(X25519PublicKey.from_public_bytes(share))
        both += share + private.public_key().public_bytes_raw()
        shared = hashlib.sha3_256(both + b"\\.//^\\").digest()
    suite = b"HPKE" + struct.pack(">HHH", kem, 1, 2)
    psk_id_hash = extract(b"", b"HPKE-v1" + suite + b"psk_id_hash")
    info_hash = extract(b"", b"HPKE-v1" + suite + b"info_hash" + info)
    schedule = b"\x00" + psk_id_hash + info_hash
    secret = extract(shared, b"HPKE-v1" + suite + b"secret")
    key = expand(secret, b"\x00\x20HPKE-v1" + suite + b"key" + schedule, 32)
    nonce = expand(secret, b"\x00\x0cHPKE-v1" + suite + b"base_nonce" + schedule, 12)
    return AESGCM(key).decrypt(nonce, sealed, b"")


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
    leaves = [content[at : at + LEAF] for at in range(0, max(1, len(content)), LEAF)]
    cids = [b"\x01\x55\x12\x20" + hashlib.sha256(leaf).digest() for leaf in leaves]
    if len(leaves) == 1:
        return cids[0]
    node, data = b"", b"\x08\x02\x18" + varint(len(content))
    for cid, leaf in zip(cids, leaves, strict=True):
        link = b"\x0a\x24" + cid + b"\x12\x00\x18" + varint(len(leaf))
        node += b"\x12" + varint(len(link)) + link
        data += b"\x20" + varint(len(leaf))
    node += b"\x0a" + varint(len(data)) + data
    return b"\x01\x70\x12\x20" + hashlib.sha256(node).digest()


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
