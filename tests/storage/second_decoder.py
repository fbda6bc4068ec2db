"""A second reader of artefacts, from docs/artefact.md alone: it imports nothing of `storage`.

Of a folder of blocks, a manifest's digest, envelopes and a recipient's seed it gives the plaintext,
or refuses with `Refused`.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEGMENT = 1_048_560
LEAF = 1_048_576
RAW, DAG_PB, DAG_CBOR = 0x55, 0x70, 0x71
MANIFEST_KEYS = {
    "commitment": 32,
    "context": 32,
    "key_commitment": 32,
    "kind": str,
    "nonce_prefix": 7,
    "payload": None,
    "payload_size": int,
    "plaintext_size": int,
    "profile": str,
    "schema": 32,
}
WRAP_SIZES = {"x-wing": 1168, "x25519": 80}
Blocks = Callable[[bytes], bytes]
"""The bytes that are kept under a digest; KeyError where there are none."""


class Refused(Exception):
    """What was read is not what docs/artefact.md describes."""


class Link(bytes):
    """The bytes of a CID that a record links to."""


def need(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


# dag-cbor


def cbor(block: bytes) -> Any:
    """The value of a canonical block."""
    try:
        value, end = _item(block, 0, 64)
    except (IndexError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused("cut short, or text that is none") from exc
    need(end == len(block) and canonical(value) == block, "not canonical")
    return value


def _item(block: bytes, at: int, depth: int) -> tuple[Any, int]:
    major, info, at = block[at] >> 5, block[at] & 31, at + 1
    if major == 7:
        if info == 27:
            (number,) = struct.unpack(">d", block[at : at + 8].ljust(8, b"\xff"))
            need(number - number == 0, "a float that is not finite")
            return number, at + 8
        need(info in (20, 21, 22), "an unknown simple value")
        return {20: False, 21: True, 22: None}[info], at
    if info >= 24:
        need(info < 28, "an indefinite length")
        size = 1 << (info - 24)
        info, at = int.from_bytes(block[at : at + size], "big"), at + size
    if major == 0:
        return info, at
    if major == 1:
        return -1 - info, at
    if major in (2, 3):
        need(at + info <= len(block), "cut short")
        raw = block[at : at + info]
        return (raw if major == 2 else raw.decode()), at + info
    if major == 6:
        raw, at = _item(block, at, depth)
        need(info == 42 and type(raw) is bytes and raw[:1] == b"\0", "a tag that is no link")
        digest_of(raw[1:], RAW, DAG_PB, DAG_CBOR)
        return Link(raw[1:]), at
    need(depth > 0 and info <= len(block) - at, "too deep, or longer than its bytes")
    out: list[Any] = []
    for _ in range(info * (2 if major == 5 else 1)):
        element, at = _item(block, at, depth - 1)
        out.append(element)
    if major == 4:
        return out, at
    need(all(isinstance(key, str) for key in out[::2]), "a key that is no text")
    return dict(zip(out[::2], out[1::2], strict=True)), at


def canonical(value: Any) -> bytes:
    """The one spelling of a value."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, Link):
        return b"\xd8\x2a" + head(2, len(value) + 1) + b"\0" + value
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(canonical, value))
    keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
    return head(5, len(keys)) + b"".join(canonical(key) + canonical(value[key]) for key in keys)


def head(major: int, size: int) -> bytes:
    if size < 24:
        return bytes([major << 5 | size])
    for info, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if size < 1 << 8 * struct.calcsize(form):
            return bytes([major << 5 | info]) + struct.pack(form, size)
    raise Refused("an integer over 64 bits")


# blocks and files


def cid_text(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def digest_of(cid: bytes, *codecs: int) -> bytes:
    need(
        len(cid) == 36 and cid[0] == 1 and cid[1] in codecs and cid[2:4] == b"\x12\x20",
        "a link of another kind",
    )
    return cid[4:]


def fetch(blocks: Blocks, digest: bytes) -> bytes:
    try:
        block = blocks(digest)
    except (KeyError, OSError) as exc:
        raise Refused("a block is missing") from exc
    need(hashlib.sha256(block).digest() == digest, "a block is corrupt")
    return block


def folder(path: Path) -> Blocks:
    """The blocks of an embedded store."""
    return lambda digest: (path / "blocks" / digest.hex()[:2] / digest.hex()).read_bytes()


def announced(path: Path, manifest: bytes) -> Iterator[bytes]:
    """The CIDs announced under a manifest's digest in an embedded store."""
    for file in sorted((path / "topics" / manifest.hex()).iterdir()):
        text = file.name[1:].upper()
        yield base64.b32decode(text + "=" * (-len(text) % 8))


def file_leaves(blocks: Blocks, cid: bytes, depth: int = 8) -> Iterator[bytes]:
    """The leaves of a file, in order."""
    need(depth >= 0, "a tree too high")
    block = fetch(blocks, digest_of(cid, RAW, DAG_PB))
    if cid[1] == RAW:
        yield block
        return
    children = [value for number, value in _fields(block) if number == 2]
    need(bool(children), "a node without links")
    for child in children:
        yield from file_leaves(blocks, dict(_fields(child))[1], depth - 1)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            need(at + value <= len(data), "cut short")
            yield key >> 3, data[at : at + value]
            at += value
        else:
            need(key & 7 == 0, "an unknown wire type")
            yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        need(at < len(data) and shift < 64, "cut short")
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


# signed records


def record(block: bytes, tag: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Body and signer of a signed record."""
    value = cbor(block)
    need(isinstance(value, dict) and set(value) == {"body", "signature", "signer", "tag"}, "keys")
    need(value["tag"] == tag, "another tag")
    signer, signature = value["signer"], value.pop("signature")
    need(isinstance(signer, dict) and set(signer) == {"address", "key"}, "a signer's keys")
    need(_is(signer["address"], 20) and _is(signer["key"], 32) and _is(signature, 64), "lengths")
    signed = tag.encode() + hashlib.sha256(canonical(value)).digest()
    try:
        Ed25519PublicKey.from_public_bytes(signer["key"]).verify(signature, signed)
    except (InvalidSignature, ValueError) as exc:
        raise Refused("a bad signature") from exc
    need(isinstance(value["body"], dict), "a body that is no map")
    return value["body"], signer


def _is(value: Any, size: int) -> bool:
    return type(value) is bytes and len(value) == size


def manifest_of(blocks: Blocks, digest: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    body, signer = record(fetch(blocks, digest), "consilium/manifest/1")
    need(set(body) == set(MANIFEST_KEYS), "a manifest's keys")
    for key, wanted in MANIFEST_KEYS.items():
        if isinstance(wanted, int):
            need(_is(body[key], wanted), key)
        elif wanted is not None:
            need(type(body[key]) is wanted, key)
    need(type(body["payload"]) is Link, "payload")
    need(body["profile"] == "aes-256-gcm/stream/1MiB", "another profile")
    count = max(1, -(-body["plaintext_size"] // SEGMENT))
    need(body["payload_size"] == body["plaintext_size"] + 16 * count, "sizes")
    return body, signer


# keys


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


def public_key(profile: str, seed: bytes) -> bytes:
    if profile == "x25519":
        return X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    expanded = hashlib.shake_256(seed).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()
    return mlkem + x25519


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


def data_key_of(
    blocks: Blocks, digest: bytes, envelope: bytes, profile: str, seed: bytes
) -> bytes | None:
    """The data key that an envelope holds for this recipient; None where it has none."""
    manifest, _ = manifest_of(blocks, digest)
    body, wrapper = record(fetch(blocks, digest_of(envelope, DAG_CBOR)), "consilium/envelope/1")
    need(set(body) == {"context", "manifest", "wraps"}, "an envelope's keys")
    need(body["manifest"] == Link(b"\x01\x71\x12\x20" + digest), "another manifest")
    need(body["context"] == manifest["context"], "another context")
    key_id = hashlib.sha256(public_key(profile, seed)).digest()
    need(isinstance(body["wraps"], list), "wraps")
    for wrap in body["wraps"]:
        need(isinstance(wrap, dict) and set(wrap) == {"profile", "recipient", "wrap"}, "a wrap")
        need(_is(wrap["recipient"], 32), "a recipient")
        need(wrap["profile"] in WRAP_SIZES, "an unknown profile")
        need(_is(wrap["wrap"], WRAP_SIZES[wrap["profile"]]), "a wrap of another size")
    mine = [wrap for wrap in body["wraps"] if wrap["recipient"] == key_id]
    need(len(mine) < 2, "two wraps for one recipient")
    if not mine:
        return None
    who = wrapper["address"] + wrapper["key"] + key_id
    info = b"consilium/wrap/1" + body["context"] + digest + who
    try:
        data_key = hpke_open(mine[0]["profile"], seed, mine[0]["wrap"], info)
    except (InvalidTag, ValueError) as exc:
        raise Refused("a wrap that does not open") from exc
    committed = expand(extract(body["context"], data_key), b"consilium/key-commitment/1", 32)
    need(committed == manifest["key_commitment"], "another data key")
    return data_key


def decode(
    blocks: Blocks, digest: bytes, envelopes: Iterable[bytes], profile: str, seed: bytes
) -> bytes:
    """The plaintext of an artefact for one recipient."""
    manifest, _ = manifest_of(blocks, digest)
    data_key = None
    for envelope in envelopes:
        try:
            data_key = data_key or data_key_of(blocks, digest, envelope, profile, seed)
        except Refused:
            continue  # a broken one does not stand in the way of a good one
    if data_key is None:
        raise Refused("no envelope for this recipient")
    key = expand(extract(manifest["context"], data_key), b"consilium/payload-key/1", 32)
    payload = b"".join(file_leaves(blocks, manifest["payload"]))
    need(len(payload) == manifest["payload_size"], "a payload of another size")
    pieces = [payload[at : at + LEAF] for at in range(0, len(payload), LEAF)]
    plaintext = b""
    for index, piece in enumerate(pieces):
        nonce = manifest["nonce_prefix"] + struct.pack(">I?", index, index == len(pieces) - 1)
        try:
            associated = b"consilium/segment/1" + manifest["context"]
            plaintext += AESGCM(key).decrypt(nonce, piece, associated)
        except InvalidTag as exc:
            raise Refused("a segment does not authenticate") from exc
    need(len(plaintext) == manifest["plaintext_size"], "a plaintext of another size")
    return plaintext
