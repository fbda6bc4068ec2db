"""The manifest: what its sender signs about an artefact; its digest is what a chain holds.

It names the payload and not the envelopes, so that wrapping the data key for someone else changes
nothing that is bound.
"""

import hashlib
from dataclasses import dataclass

from storage import dagcbor, tags
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.errors import CommitmentMismatch, MalformedRecord, WrongContext
from storage.payload import MAX_SEGMENTS, NONCE_PREFIX_SIZE, payload_size, segment_count
from storage.signed import Shape, expect_signer, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

PAYLOAD_PROFILE = "aes-256-gcm/stream/1MiB"

_SHAPE: Shape = {
    "commitment": 32,
    "context": 32,
    "key_commitment": 32,
    "kind": str,
    "nonce_prefix": NONCE_PREFIX_SIZE,
    "payload": Cid,
    "payload_size": int,
    "plaintext_size": int,
    "profile": str,
    "schema": 32,
}


@dataclass(frozen=True, slots=True)
class PayloadFacts:
    """What a manifest says of its artefact. Sizes are in bytes, digests have 32 of them."""

    kind: str
    schema: bytes
    context: bytes
    payload: Cid
    plaintext_size: int
    nonce_prefix: bytes
    key_commitment: bytes
    commitment: bytes

    @property
    def payload_size(self) -> int:
        """Bytes of the payload."""
        return payload_size(self.plaintext_size)


@dataclass(frozen=True, slots=True)
class Manifest(PayloadFacts):
    """A verified manifest: besides, sha2-256 of its block, and who signed it."""

    digest: bytes
    signer: Signer

    @property
    def cid(self) -> Cid:
        """The manifest's own CID."""
        return dag_cbor_cid(self.digest)

    def expect(self, *, context: bytes, signer: Signer) -> None:
        """Raise WrongContext or WrongSigner unless it was sealed for this, by this signer."""
        if self.context != context:
            raise WrongContext(
                f"manifest {self.cid} was sealed for the context {self.context.hex()}, expected "
                f"{context.hex()}: it belongs to another study, round, spec, state or cohort"
            )
        expect_signer(f"manifest {self.cid}", self.signer, signer)


def write_manifest(store: BlockStore, facts: PayloadFacts, sender: Sender) -> Cid:
    """Sign and keep the manifest's block."""
    body: dict[str, dagcbor.Value] = {
        "commitment": facts.commitment,
        "context": facts.context,
        "key_commitment": facts.key_commitment,
        "kind": facts.kind,
        "nonce_prefix": facts.nonce_prefix,
        "payload": facts.payload,
        "payload_size": facts.payload_size,
        "plaintext_size": facts.plaintext_size,
        "profile": PAYLOAD_PROFILE,
        "schema": facts.schema,
    }
    return store.put_block(Codec.DAG_CBOR, sign_record(tags.MANIFEST, body, sender))


def read_manifest(store: BlockStore, digest: bytes) -> Manifest:
    """The manifest with this digest (32 bytes), its signature verified.

    Anyone can do it, without a key. Raises MissingBlock, CorruptBlock, MalformedBlock,
    MalformedRecord, BadSignature.
    """
    record = open_record(tags.MANIFEST, store.get_block(dag_cbor_cid(digest)), _SHAPE)
    body = record.body
    where = f"manifest {dag_cbor_cid(digest)}"
    if body["profile"] != PAYLOAD_PROFILE:
        raise MalformedRecord(f"{where} has a payload profile that this version cannot read")
    size = body["plaintext_size"]
    if size < 0 or segment_count(size) > MAX_SEGMENTS or body["payload_size"] != payload_size(size):
        raise MalformedRecord(f"{where} states sizes that contradict each other")
    return Manifest(
        kind=body["kind"],
        schema=body["schema"],
        context=body["context"],
        payload=body["payload"],
        plaintext_size=size,
        nonce_prefix=body["nonce_prefix"],
        key_commitment=body["key_commitment"],
        commitment=body["commitment"],
        digest=digest,
        signer=record.signer,
    )


def plaintext_commitment(
    salt: bytes, context: bytes, plaintext_size: int, plaintext_sha256: bytes
) -> bytes:
    """32 bytes. Salted (32 bytes): the hash of a small clinical update could be guessed."""
    fields = salt + context + plaintext_size.to_bytes(8, "big") + plaintext_sha256
    return hashlib.sha256(tags.COMMITMENT + fields).digest()


def check_commitment(manifest: Manifest, salt: bytes, plaintext: bytes) -> None:
    """For whom the sender gave the salt: raise CommitmentMismatch unless both fit."""
    digest = hashlib.sha256(plaintext).digest()
    found = plaintext_commitment(salt, manifest.context, len(plaintext), digest)
    if found != manifest.commitment:
        raise CommitmentMismatch(
            f"salt and plaintext do not give the commitment of manifest {manifest.cid}: one of "
            "them is not the sender's"
        )
