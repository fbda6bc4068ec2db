"""Ed25519 (RFC 8032) signatures over tagged digests, and who signs."""

import secrets
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.errors import BadSignature, MalformedKey

ADDRESS_SIZE = 20
PUBLIC_SIZE = 32
SEED_SIZE = 32
SIGNATURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed: an address (20 bytes, opaque here) and its Ed25519 public key (32 bytes)."""

    address: bytes
    public_key: bytes

    def __post_init__(self) -> None:
        if (len(self.address), len(self.public_key)) != (ADDRESS_SIZE, PUBLIC_SIZE):
            raise MalformedKey(
                f"a signer has an address of {ADDRESS_SIZE} bytes and a key of {PUBLIC_SIZE}, "
                f"got {len(self.address)} and {len(self.public_key)}"
            )

    def __str__(self) -> str:
        return f"0x{self.address.hex()} with signing key {self.public_key.hex()}"


class SigningKey:
    """An Ed25519 private key, from a seed of 32 bytes."""

    kind = "ed25519"

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise MalformedKey(f"a signing key has a seed of {SEED_SIZE} bytes, got {len(seed)}")
        self.seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(SEED_SIZE))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.hex()})"  # never the seed

    def sign(self, tag: str, digest: bytes) -> bytes:
        """64 bytes over `tag ‖ digest` (32 bytes)."""
        return self._private.sign(_message(tag, digest))


@dataclass(frozen=True, slots=True)
class Sender:
    """One who signs: the address (20 bytes) under which the key is registered, and the key."""

    address: bytes
    signing_key: SigningKey

    @property
    def signer(self) -> Signer:
        """The public half."""
        return Signer(self.address, self.signing_key.public)


def verify_signature(public_key: bytes, tag: str, digest: bytes, signature: bytes) -> None:
    """Raise BadSignature unless `SigningKey.sign` of that key made the signature."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _message(tag, digest))
    except (InvalidSignature, ValueError) as exc:
        raise BadSignature(
            f"a signature for {tag} is not of the key {public_key.hex()}: the record was forged "
            "or altered; refuse it"
        ) from exc


def _message(tag: str, digest: bytes) -> bytes:
    if len(digest) != 32:  # a fixed length keeps tag and digest apart
        raise BadSignature(f"a digest of 32 bytes is signed, got {len(digest)}")
    return tag.encode("ascii") + digest
