"""Keys that artefacts are sealed to: HPKE (RFC 9180) in base mode, as recipient and identity.

Base mode leaves the sender anonymous, so whatever carries a wrap is signed (`storage.signing`).
Profile X-Wing (ML-KEM-768 with X25519, draft-connolly-cfrg-xwing-kem) withstands a recording
that is kept until quantum computers exist; X25519 is for readers that lack it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from storage.cid import Codec, raw_cid
from storage.errors import MalformedKey, WrongKey
from storage.store import BlockStore

SEED_SIZE = 32
_MLKEM_PUBLIC_SIZE = 1184


class Profile(StrEnum):
    """How a data key is wrapped."""

    X_WING = "x-wing"
    X25519 = "x25519"

    @property
    def public_size(self) -> int:
        """Bytes of a public key."""
        return 1216 if self is Profile.X_WING else 32

    def wrap_size(self, plaintext_size: int) -> int:
        """Bytes of a wrap: encapsulated key, ciphertext, tag."""
        return (1120 if self is Profile.X_WING else 32) + plaintext_size + 16


_SUITES = {
    Profile.X_WING: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    Profile.X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A public key: 1216 bytes (ML-KEM-768 ‖ X25519) or 32 bytes (X25519)."""

    profile: Profile
    public: bytes

    def __post_init__(self) -> None:
        self._library_key()

    @classmethod
    def from_bytes(cls, public: bytes) -> Self:
        """The key of these bytes, its profile told by their number. Raises MalformedKey."""
        for profile in Profile:
            if len(public) == profile.public_size:
                return cls(profile, public)
        raise MalformedKey(
            f"{len(public)} bytes are no public key: X-Wing has 1216, X25519 has 32; publish "
            "the key again"
        )

    @property
    def key_id(self) -> bytes:
        """sha2-256 of the public bytes (32): what a chain holds, and the key's raw CID."""
        return hashlib.sha256(self.public).digest()

    def wrap(self, plaintext: bytes, info: bytes) -> bytes:
        """Encrypt a short secret to this key, bound to `info`; different at each call."""
        try:
            return _SUITES[self.profile].encrypt(plaintext, self._library_key(), info)
        except ValueError as exc:  # a point of small order: the shared secret would be zero
            raise self._malformed() from exc

    def _library_key(self) -> MLKEM768X25519PublicKey | X25519PublicKey:
        try:
            if self.profile is Profile.X25519:
                return X25519PublicKey.from_public_bytes(self.public)
            return MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(self.public[:_MLKEM_PUBLIC_SIZE]),
                X25519PublicKey.from_public_bytes(self.public[_MLKEM_PUBLIC_SIZE:]),
            )
        except ValueError as exc:
            raise self._malformed() from exc

    def _malformed(self) -> MalformedKey:
        return MalformedKey(
            f"the public key {self.key_id.hex()} is not a valid {self.profile} key: ask its "
            "owner to publish another"
        )


class Identity:
    """A private key of a recipient, from a seed of 32 bytes; X-Wing expands it by SHAKE-256."""

    def __init__(self, profile: Profile, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise MalformedKey(f"a private key has a seed of {SEED_SIZE} bytes, got {len(seed)}")
        self.profile = profile
        self.seed = seed
        self._private: MLKEM768X25519PrivateKey | X25519PrivateKey
        if profile is Profile.X25519:
            x25519 = X25519PrivateKey.from_private_bytes(seed)
            self._private = x25519
            public = x25519.public_key().public_bytes_raw()
        else:
            expanded = hashlib.shake_256(seed).digest(96)
            mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
            x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
            self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
            public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.recipient = RecipientKey(profile, public)

    @classmethod
    def generate(cls, profile: Profile = Profile.X_WING) -> Self:
        """A new key from the operating system's randomness."""
        return cls(profile, secrets.token_bytes(SEED_SIZE))

    @property
    def kind(self) -> str:
        """The profile's name, for key files."""
        return self.profile.value

    @property
    def public(self) -> bytes:
        """The bytes of the public key."""
        return self.recipient.public

    def __repr__(self) -> str:
        return f"Identity({self.profile}, {self.recipient.key_id.hex()})"  # never the seed

    def unwrap(self, wrap: bytes, info: bytes) -> bytes:
        """Inverse of `RecipientKey.wrap`; raises WrongKey."""
        try:
            return _SUITES[self.profile].decrypt(wrap, self._private, info)
        except (InvalidTag, ValueError) as exc:
            raise WrongKey(
                f"a wrap for the key {self.recipient.key_id.hex()} does not open with it: the "
                "wrap was made for another artefact or altered; ask for a new envelope"
            ) from exc


def publish_key(store: BlockStore, recipient: RecipientKey) -> bytes:
    """Put the public key into the store, pinned; return its id (32 bytes) for the chain."""
    cid = store.put_block(Codec.RAW, recipient.public)
    store.pin(cid)
    return cid.digest


def fetch_key(store: BlockStore, key_id: bytes) -> RecipientKey:
    """The public key with this id. Raises MissingBlock, CorruptBlock, MalformedKey."""
    return RecipientKey.from_bytes(store.get_block(raw_cid(key_id)))
