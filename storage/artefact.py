"""Artefacts: encrypted bytes plus envelopes, addressed by the digest of a signed manifest.

`seal` for recipients, `open_artefact` with an identity, `rewrap` for others. docs/artefact.md
specifies every byte.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from storage.cid import Cid
from storage.envelope import find_data_key, publish_envelope, write_envelope
from storage.errors import MalformedRecord, NoRecipients
from storage.keys import Identity, RecipientKey
from storage.manifest import (
    Manifest,
    PayloadFacts,
    plaintext_commitment,
    read_manifest,
    write_manifest,
)
from storage.memory import blank
from storage.payload import (
    DATA_KEY_SIZE,
    NONCE_PREFIX_SIZE,
    SEGMENT_SIZE,
    PayloadReader,
    SealedStream,
    SegmentCipher,
    key_commitment,
)
from storage.sealed import Sealed
from storage.signing import Sender, Signer
from storage.store import BlockStore
from storage.unixfs import Readable

SALT_SIZE = 32
# A manifest may claim any size: no more than this is set aside before a byte is verified.
_IN_PLACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Opened:
    """An artefact whose manifest is verified and whose data key is known and right."""

    manifest: Manifest
    payload: PayloadReader

    def read(self) -> bytes:
        """The whole plaintext; see PayloadReader for streams and single segments."""
        size = self.payload.plaintext_size
        if size <= SEGMENT_SIZE or size > _IN_PLACE:
            return self.payload.read()  # as far as it is what its manifest says
        whole = blank(size)
        self.payload.read_into(whole.getbuffer())
        return whole.getvalue()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The randomness of one artefact. Two artefacts that shared it would betray each other."""

    data_key: bytes = field(repr=False)
    nonce_prefix: bytes
    salt: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        """From the operating system."""
        return cls(
            secrets.token_bytes(DATA_KEY_SIZE),
            secrets.token_bytes(NONCE_PREFIX_SIZE),
            secrets.token_bytes(SALT_SIZE),
        )


def seal(
    store: BlockStore,
    plaintext: bytes | Readable,
    *,
    kind: str,
    schema: bytes,
    context: bytes,
    sender: Sender,
    recipients: Sequence[RecipientKey],
    own: Secrets | None = None,
) -> Sealed:
    """Encrypt for the recipients, keep, pin and announce; memory is a few segments.

    `kind` says what it is, `schema` is the digest (32 bytes) of how to read it, `context` (32) of
    what it is for. On return all of it is durable in the store. `own` is given by test vectors
    alone. Raises NoRecipients, MalformedRecord, Unreachable.
    """
    _check(kind, schema, context, recipients)
    own = own or Secrets.fresh()
    stream = SealedStream(plaintext, SegmentCipher(own.data_key, own.nonce_prefix, context))
    payload = store.add_file(stream)
    size, sha256 = stream.plaintext_size, stream.plaintext_sha256()
    facts = PayloadFacts(
        kind=kind,
        schema=schema,
        context=context,
        payload=payload,
        plaintext_size=size,
        nonce_prefix=own.nonce_prefix,
        key_commitment=key_commitment(own.data_key, context),
        commitment=plaintext_commitment(own.salt, context, size, sha256),
    )
    manifest = read_manifest(store, write_manifest(store, facts, sender).digest)
    envelope = write_envelope(store, manifest, own.data_key, sender, recipients, payload_given=True)
    return Sealed(manifest.digest, envelope, manifest.commitment, own.salt, size)


def publish(store: BlockStore, sealed: Sealed) -> None:
    """Pin and announce again what `seal` made: for who starts again before submitting.

    Raises MissingBlock if the store has lost any block of it.
    """
    publish_envelope(store, sealed.manifest_digest, sealed.envelope_cid)


def open_artefact(
    store: BlockStore,
    manifest_digest: bytes,
    identity: Identity,
    *,
    expected_context: bytes,
    expected_signer: Signer,
    envelope: Cid | None = None,
) -> Opened:
    """The artefact whose manifest has this digest (32 bytes), for one of its recipients.

    Looks through the announced envelopes, or at `envelope` alone. What `kind` and `schema` it has
    is for the caller to check. Raises WrongContext, WrongSigner, and what `read_manifest` and
    `find_data_key` do; reading the payload raises what PayloadReader does.
    """
    manifest = read_manifest(store, manifest_digest)
    manifest.expect(context=expected_context, signer=expected_signer)
    data_key = find_data_key(store, manifest, identity, envelope)
    cipher = SegmentCipher(data_key, manifest.nonce_prefix, manifest.context)
    return Opened(manifest, PayloadReader(store, manifest.payload, manifest.plaintext_size, cipher))


def rewrap(
    store: BlockStore,
    manifest_digest: bytes,
    identity: Identity,
    *,
    wrapper: Sender,
    recipients: Sequence[RecipientKey],
    expected_context: bytes,
    expected_signer: Signer,
) -> Cid:
    """A new envelope for others, by one who can open the artefact; returns its CID.

    Payload and manifest stay as they are. Raises what `open_artefact` does.
    """
    manifest = read_manifest(store, manifest_digest)
    manifest.expect(context=expected_context, signer=expected_signer)
    data_key = find_data_key(store, manifest, identity)
    return write_envelope(store, manifest, data_key, wrapper, recipients)


def _check(kind: str, schema: bytes, context: bytes, recipients: Sequence[RecipientKey]) -> None:
    if not recipients:
        raise NoRecipients(f"nobody could open the {kind}: name at least one recipient's key")
    if not kind or (len(schema), len(context)) != (32, 32):
        raise MalformedRecord(
            f"an artefact has a kind, a schema and a context of 32 bytes, got {kind!r}, "
            f"{len(schema)} and {len(context)}"
        )
