"""Private keys in files: mode 600, never overwritten, optionally under a passphrase (scrypt).

A file is JSON: {"format", "kind", "public", "seed"}, or with a passphrase "salt" and "sealed" in
the place of "seed". `sealed` is the seed under AES-256-GCM; its key (32 bytes) and nonce (12) are
scrypt(passphrase, salt, N=2**17, r=8, p=1), or, where another key of 32 bytes protects the file,
HKDF-SHA-256(that key, salt, info=format); its associated data is format ‖ kind ‖ public.
Bytes are hexadecimal.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from storage import tags
from storage.errors import (
    KeyFailure,
    KeyFileExists,
    KeyFileExposed,
    KeyFileMissing,
    MalformedKey,
    WrongPassphrase,
)
from storage.files import sync_folder, write_durably
from storage.keys import Identity, Profile
from storage.signing import SigningKey

_SALT_SIZE = 16


class PrivateKey(Protocol):
    """What a key file holds: SigningKey and Identity."""

    seed: bytes

    @property
    def kind(self) -> str:
        """ "ed25519", "x-wing" or "x25519"."""
        ...

    @property
    def public(self) -> bytes:
        """The bytes of the public key."""
        ...


Secret: TypeAlias = str | bytes
"""What protects a key file: a passphrase, or another key of 32 bytes."""


def save_key(path: Path, key: PrivateKey, secret: Secret | None = None) -> None:
    """Write a private key to a new file that only its owner may read.

    Raises KeyFileExists, KeyFailure.
    """
    fields = {"format": tags.PRIVATE_KEY, "kind": key.kind, "public": key.public.hex()}
    if secret is None:
        fields["seed"] = key.seed.hex()
    else:
        salt = secrets.token_bytes(_SALT_SIZE)
        aead, nonce = _cipher(secret, salt)
        fields["sealed"] = aead.encrypt(nonce, key.seed, _associated(fields)).hex()
        fields["salt"] = salt.hex()
    _write_new(path, json.dumps(fields, indent=1).encode())


def load_signing_key(path: Path, secret: Secret | None = None) -> SigningKey:
    """The signing key of a file.

    Raises KeyFileMissing, KeyFileExposed, WrongPassphrase, MalformedKey.
    """
    fields = _read(path)
    if fields.get("kind") != SigningKey.kind:
        raise _malformed(path, f"is not an {SigningKey.kind} key")
    key = SigningKey(_seed(path, fields, secret))
    _check_public(path, fields, key)
    return key


def load_identity(path: Path, secret: Secret | None = None) -> Identity:
    """The recipient's key of a file; raises as `load_signing_key`."""
    fields = _read(path)
    if fields.get("kind") not in list(Profile):
        raise _malformed(path, f"is not a key of {' or '.join(Profile)}")
    key = Identity(Profile(fields["kind"]), _seed(path, fields, secret))
    _check_public(path, fields, key)
    return key


def _read(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileExposed(
                f"the private key {path} can be read by other accounts: chmod 600 {path}, and "
                "replace the key if one of them may have read it"
            )
        fields = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise KeyFileMissing(f"no key file at {path}: make a key or correct the path") from exc
    except OSError as exc:
        raise KeyFailure(f"cannot read the key file {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise _malformed(path, "is not JSON") from exc
    if not isinstance(fields, dict) or fields.get("format") != tags.PRIVATE_KEY:
        raise _malformed(path, f"is not of the format {tags.PRIVATE_KEY}")
    if not all(isinstance(value, str) for value in fields.values()):
        raise _malformed(path, "holds other values than text")
    return fields


def _seed(path: Path, fields: Mapping[str, str], secret: Secret | None) -> bytes:
    try:
        if "seed" in fields:
            return bytes.fromhex(fields["seed"])
        if secret is None:
            raise WrongPassphrase(f"the key file {path} has a passphrase: give it")
        aead, nonce = _cipher(secret, bytes.fromhex(fields["salt"]))
        return aead.decrypt(nonce, bytes.fromhex(fields["sealed"]), _associated(fields))
    except (KeyError, ValueError) as exc:
        raise _malformed(path, "lacks a field or holds what is not hexadecimal") from exc
    except InvalidTag as exc:
        raise WrongPassphrase(
            f"the key file {path} does not open: the passphrase is wrong or the file was altered"
        ) from exc


def _check_public(path: Path, fields: Mapping[str, str], key: PrivateKey) -> None:
    if fields.get("public") != key.public.hex():
        raise _malformed(path, "names a public key that its private key does not have")


def _cipher(secret: Secret, salt: bytes) -> tuple[AESGCM, bytes]:
    # A derived nonce is safe: each salt is fresh, so each derived key seals one message only.
    if isinstance(secret, str):
        derived = Scrypt(salt=salt, length=44, n=1 << 17, r=8, p=1).derive(secret.encode())
    else:
        info = tags.PRIVATE_KEY.encode()
        derived = HKDF(SHA256(), length=44, salt=salt, info=info).derive(secret)
    return AESGCM(derived[:32]), derived[32:]


def _associated(fields: Mapping[str, str]) -> bytes:
    return "".join(fields[name] for name in ("format", "kind", "public")).encode()


def _write_new(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_durably(temporary, content, mode=0o600)
        path.hardlink_to(temporary)  # unlike a rename, refuses to replace a key
        sync_folder(path.parent)
    except FileExistsError as exc:
        raise KeyFileExists(f"{path} exists: move the old key away, or use it") from exc
    except OSError as exc:
        raise KeyFailure(f"cannot write the key file {path}: {exc.strerror}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def _malformed(path: Path, what: str) -> MalformedKey:
    return MalformedKey(f"the key file {path} {what}: restore it from a copy or make a new key")
