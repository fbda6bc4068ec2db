"""Envelopes: the data key of one artefact, wrapped for recipients; signed, apart from the manifest.

Members find envelopes as announcements under the manifest's digest. Anyone may announce one: what
makes an envelope right is that the data key in it fits the key commitment of the signed manifest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from storage import tags
from storage.cid import Cid, Codec
from storage.errors import (
    KeyCommitmentMismatch,
    MalformedRecord,
    NotARecipient,
    StorageError,
    Unanswered,
    Unreachable,
    WrongContext,
    WrongManifest,
)
from storage.keys import Identity, Profile, RecipientKey
from storage.manifest import Manifest
from storage.payload import DATA_KEY_SIZE, key_commitment
from storage.signed import Shape, check_shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

_SHAPE: Shape = {"context": 32, "manifest": Cid, "wraps": list}
_WRAP_SHAPE: Shape = {"profile": str, "recipient": 32, "wrap": bytes}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A verified envelope: who signed it, and the wraps by recipient's key id (32 bytes)."""

    cid: Cid
    signer: Signer
    wraps: Mapping[bytes, bytes]


def write_envelope(
    store: BlockStore,
    manifest: Manifest,
    data_key: bytes,
    wrapper: Sender,
    recipients: Sequence[RecipientKey],
    *,
    payload_given: bool = False,
) -> Cid:
    """Wrap the data key for each recipient, sign, keep, pin and announce the envelope.

    `payload_given`: this store has just been given the payload, so nothing of it is looked for.
    """
    wraps = [
        {
            "profile": recipient.profile.value,
            "recipient": key_id,
            "wrap": recipient.wrap(data_key, wrap_info(manifest, wrapper.signer, key_id)),
        }
        for key_id, recipient in sorted({key.key_id: key for key in recipients}.items())
    ]
    body = {"context": manifest.context, "manifest": manifest.cid, "wraps": wraps}
    block = sign_record(tags.ENVELOPE, body, wrapper)
    if payload_given:
        cid = store.put_pinned(Codec.DAG_CBOR, block)
        store.announce(manifest.digest, cid)
        return cid
    cid = store.put_block(Codec.DAG_CBOR, block)
    publish_envelope(store, manifest.digest, cid)
    return cid


def publish_envelope(store: BlockStore, manifest_digest: bytes, envelope: Cid) -> None:
    """Pin the envelope, and with it manifest and payload; announce it. Idempotent."""
    store.pin(envelope)
    store.announce(manifest_digest, envelope)


def read_envelope(store: BlockStore, manifest: Manifest, cid: Cid) -> Envelope:
    """The envelope, its signature verified, which must be of this manifest.

    Raises WrongManifest, WrongContext and what `read_manifest` does.
    """
    where = f"envelope {cid}"
    record = open_record(tags.ENVELOPE, store.get_block(cid), _SHAPE)
    if record.body["manifest"] != manifest.cid:
        raise WrongManifest(f"{where} belongs to another artefact than manifest {manifest.cid}")
    if record.body["context"] != manifest.context:
        raise WrongContext(f"{where} states another context than its manifest: refuse it")
    wraps: dict[bytes, bytes] = {}
    for item in record.body["wraps"]:
        wrap = check_shape(item, _WRAP_SHAPE, where)
        known = wrap["profile"] in list(Profile)
        if not known or len(wrap["wrap"]) != Profile(wrap["profile"]).wrap_size(DATA_KEY_SIZE):
            raise MalformedRecord(f"{where} has a wrap of a profile or size that is unknown")
        wraps[wrap["recipient"]] = wrap["wrap"]
    if len(wraps) != len(record.body["wraps"]):
        raise MalformedRecord(f"{where} has two wraps for one recipient")
    return Envelope(cid, record.signer, MappingProxyType(wraps))


def find_data_key(
    store: BlockStore, manifest: Manifest, identity: Identity, envelope: Cid | None = None
) -> bytes:
    """The data key, out of the given envelope, or of the first announced one that opens.

    Envelopes that are broken do not stand in the way of a good one; if none is good, the first
    failure is raised, and NotARecipient if there was none. Where members did not tell of theirs,
    Unanswered is the cause of that.
    """
    candidates = store.announced(manifest.digest) if envelope is None else [envelope]
    failures: list[StorageError] = []
    if data_key := _tried(store, manifest, identity, candidates, failures):
        return data_key
    unheard = _unheard(store, manifest.digest) if envelope is None else None
    if envelope is None and (late := set(store.announced(manifest.digest)) - set(candidates)):
        candidates += sorted(late)
        if data_key := _tried(store, manifest, identity, sorted(late), failures):
            return data_key
    unheard = next((item for item in failures if isinstance(item, Unanswered)), unheard)
    if failures and unheard not in (None, failures[0]):
        raise failures[0] from unheard
    if failures:
        raise failures[0]
    raise NotARecipient(
        f"none of {len(candidates)} envelopes of manifest {manifest.cid} is for the key "
        f"{identity.recipient.key_id.hex()}: ask its sender or a recipient to wrap it for you"
    ) from unheard


def _tried(
    store: BlockStore,
    manifest: Manifest,
    identity: Identity,
    candidates: Sequence[Cid],
    failures: list[StorageError],
) -> bytes | None:
    """The data key out of the first that opens; why the others do not joins `failures`."""
    for cid in candidates:
        try:
            found = read_envelope(store, manifest, cid)
            if identity.recipient.key_id in found.wraps:
                return _unwrap(manifest, found, identity)
        except Unreachable:
            raise
        except StorageError as exc:
            failures.append(exc)
    return None


def _unheard(store: BlockStore, topic: bytes) -> Unanswered | None:
    try:
        store.hear(topic)
    except Unanswered as exc:
        return exc
    return None


def wrap_info(manifest: Manifest, wrapper: Signer, key_id: bytes) -> bytes:
    """What an HPKE wrap is bound to: tag ‖ context ‖ manifest digest ‖ wrapper ‖ recipient."""
    bound = manifest.context + manifest.digest + wrapper.address + wrapper.public_key + key_id
    return tags.WRAP + bound


def _unwrap(manifest: Manifest, envelope: Envelope, identity: Identity) -> bytes:
    key_id = identity.recipient.key_id
    info = wrap_info(manifest, envelope.signer, key_id)
    data_key = identity.unwrap(envelope.wraps[key_id], info)
    if key_commitment(data_key, manifest.context) != manifest.key_commitment:
        raise KeyCommitmentMismatch(
            f"envelope {envelope.cid}, signed by {envelope.signer}, holds another data key than "
            f"manifest {manifest.cid} commits to: ask its sender for a right one"
        )
    return data_key
