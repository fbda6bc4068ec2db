"""A file that only its owner can open: mode 600, replaced whole, encrypted and bound to a context.

Bytes: OWN_FILE ‖ salt (16) ‖ ciphertext. Key (32) and nonce (12) of AES-256-GCM are
HKDF-SHA-256(seed of the owner's identity, salt, info = OWN_FILE ‖ context), the associated data is
OWN_FILE ‖ context, the context has 32 bytes. A derived nonce is safe: each salt is fresh, so that
each derived key seals one file only.
"""

import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.errors import CorruptPayload, Unreachable
from storage.files import sync_folder, write_durably
from storage.keys import Identity
from storage.tags import OWN_FILE

_SALT_SIZE = 16


def write_own(path: Path, content: bytes, identity: Identity, context: bytes) -> None:
    """Seal to the owner and replace what is there; on disk on return. Raises Unreachable."""
    salt = secrets.token_bytes(_SALT_SIZE)
    aead, nonce = _cipher(identity, salt, context)
    sealed = OWN_FILE + salt + aead.encrypt(nonce, content, OWN_FILE + context)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(beside, sealed, 0o600)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise Unreachable(f"{path} cannot be written ({exc.strerror}); free space there") from exc
    finally:
        with suppress(OSError):  # the error above is the one to tell
            beside.unlink(missing_ok=True)


def read_own(path: Path, identity: Identity, context: bytes) -> bytes | None:
    """The content, or None where there is no file. Raises CorruptPayload, Unreachable."""
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise Unreachable(f"{path} cannot be read ({exc.strerror}); check it") from exc
    start = len(OWN_FILE) + _SALT_SIZE
    aead, nonce = _cipher(identity, sealed[len(OWN_FILE) : start], context)
    try:
        if not sealed.startswith(OWN_FILE):
            raise InvalidTag
        return aead.decrypt(nonce, sealed[start:], OWN_FILE + context)
    except InvalidTag as exc:
        raise CorruptPayload(
            f"{path} does not open: it was altered, cut short, or sealed with another key of this "
            "home; make it anew"
        ) from exc


def _cipher(identity: Identity, salt: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    info = OWN_FILE + context
    derived = HKDF(SHA256(), length=44, salt=salt, info=info).derive(identity.seed)
    return AESGCM(derived[:32]), derived[32:]
