"""Writes tests/vectors/artefact/{sealed-*,dag-cbor}.json: `python -m tests.storage.make_vectors`.

All randomness is fixed here except HPKE's own: an envelope that is there already and opens for
every recipient is kept, so that a second run changes nothing.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from storage import dagcbor
from storage.artefact import Secrets, seal
from storage.cid import Cid, Codec
from storage.embedded import EmbeddedStore
from storage.envelope import find_data_key
from storage.errors import StorageError
from storage.keys import Identity, Profile
from storage.manifest import Manifest, read_manifest
from storage.payload import SEGMENT_SIZE, key_commitment
from storage.signing import Sender, SigningKey

FOLDER = Path(__file__).parents[1] / "vectors" / "artefact"
X_WING, X25519 = Profile.X_WING, Profile.X25519
CASES: dict[str, tuple[int, list[Profile]]] = {
    "sealed-empty": (0, [X25519]),
    "sealed-small": (1000, [X_WING, X25519]),
    "sealed-one-segment": (SEGMENT_SIZE, [X_WING]),
    "sealed-two-segments": (SEGMENT_SIZE + 1, [X25519]),
}
INLINE_UP_TO = 2000


def pattern(size: int) -> bytes:
    """`size` bytes, byte i being i mod 251."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def fixed(name: str, what: str, size: int) -> bytes:
    """Bytes that look random and are not: these secrets guard nothing."""
    return hashlib.shake_256(f"test vector {name} {what}".encode()).digest(size)


def sealed_vector(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """One artefact: its inputs and its blocks."""
    size, profiles = CASES[name]
    own = Secrets(fixed(name, "data key", 32), fixed(name, "nonce", 7), fixed(name, "salt", 32))
    seeds = [fixed(name, f"recipient {profile}", 32) for profile in profiles]
    identities = [Identity(*pair) for pair in zip(profiles, seeds, strict=True)]
    sender = Sender(fixed(name, "address", 20), SigningKey(fixed(name, "sender", 32)))
    schema, context = fixed(name, "schema", 32), fixed(name, "context", 32)
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore.create(folder)
        sealed = seal(
            store,
            pattern(size),
            kind="update",
            schema=schema,
            context=context,
            sender=sender,
            recipients=[identity.recipient for identity in identities],
            own=own,
        )
        manifest = read_manifest(store, sealed.manifest_digest)
        envelope = kept_envelope(store, manifest, identities, known) or sealed.envelope_cid
        payload = b"".join(store.cat(manifest.payload))
        blocks = {cid: store.get_block(cid).hex() for cid in (sealed.manifest_cid, envelope)}
    plaintext = {"hex": pattern(size).hex()} if size <= INLINE_UP_TO else {"pattern_size": size}
    shown_payload = {"hex": payload.hex()} if len(payload) <= INLINE_UP_TO else {}
    return {
        "name": name,
        "plaintext": plaintext,
        "kind": "update",
        "schema": schema.hex(),
        "context": context.hex(),
        "data_key": own.data_key.hex(),
        "nonce_prefix": own.nonce_prefix.hex(),
        "salt": own.salt.hex(),
        "sender": {"address": sender.address.hex(), "seed": sender.signing_key.seed.hex()},
        "recipients": [
            {
                "profile": identity.kind,
                "seed": identity.seed.hex(),
                "key_id": identity.recipient.key_id.hex(),
            }
            for identity in identities
        ],
        "key_commitment": key_commitment(own.data_key, context).hex(),
        "commitment": sealed.commitment.hex(),
        "payload": {"cid": str(manifest.payload), "size": len(payload)} | shown_payload,
        "manifest": {"cid": str(sealed.manifest_cid), "hex": blocks[sealed.manifest_cid]},
        "envelope": {"cid": str(envelope), "hex": blocks[envelope]},
    }


def kept_envelope(
    store: EmbeddedStore, manifest: Manifest, identities: list[Identity], known: dict[str, Any]
) -> Cid | None:
    """The envelope of an earlier run, if it opens for everyone who should open it."""
    if not known:
        return None
    cid = store.put_block(Codec.DAG_CBOR, bytes.fromhex(known["envelope"]["hex"]))
    try:
        for identity in identities:
            find_data_key(store, manifest, identity, cid)
    except StorageError:
        return None
    return cid


def dag_cbor_vectors() -> dict[str, list[dict[str, str]]]:
    """Blocks to read and blocks to refuse."""
    link = Cid.of(Codec.RAW, b"")
    canonical: dict[str, dagcbor.Value] = {
        "an empty map": {},
        "keys in order": {"b": 1, "aa": 2, "é": 3, "a": None},
        "integers at the edges of their heads": [0, 23, 24, 255, 256, 65535, 65536, 2**64 - 1],
        "negative integers": [-1, -24, -25, -256, -257, -(2**64)],
        "floats": [0.0, -0.0, 1.5, 5e-324],
        "a link": link,
        "bytes, text and booleans": [b"\x00\xff", "ü", True, False],
    }
    refused = {
        "a head that is not the shortest": "1817",
        "a length that is not the shortest": "780161",
        "keys out of order": "a2616201616102",
        "a longer key before a shorter one": "a262616101616201",
        "a key twice": "a2616101616102",
        "a key that is an integer": "a10102",
        "an indefinite list": "9f01ff",
        "an indefinite map": "bf616101ff",
        "half a float": "f93c00",
        "a single float": "fa3f800000",
        "a float cut short": "fb3ff0",
        "NaN": "fb7ff8000000000000",
        "infinity": "fb7ff0000000000000",
        "undefined": "f7",
        "a simple value": "f8ff",
        "a bignum": "c24101",
        "a link without its prefix": "d82a5824" + bytes(link).hex(),
        "a link cut short": "d82a5825" + "00" + bytes(link).hex()[:-2],
        "a link by another hash": "d82a5825" + "00" + "01551320" + "00" * 32,
        "a link that is text": "d82a6161",
        "tag 43": "d82b5825" + "00" + bytes(link).hex(),
        "text that is not UTF-8": "61ff",
        "cut short": "430102",
        "more than one value": "0000",
        "nothing": "",
    }
    return {
        "canonical": [
            {"means": means, "hex": dagcbor.encode(value).hex()}
            for means, value in canonical.items()
        ],
        "refused": [{"why": why, "hex": block} for why, block in refused.items()],
    }


def vector_files() -> dict[Path, dict[str, Any]]:
    """What the files should hold."""
    files: dict[Path, dict[str, Any]] = {FOLDER / "dag-cbor.json": dag_cbor_vectors()}
    for name in CASES:
        path = FOLDER / f"{name}.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        files[path] = sealed_vector(name, known)
    return files


if __name__ == "__main__":
    for path, content in vector_files().items():
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
