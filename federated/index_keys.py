"""The secret that a study's members index with: drawn by its center, sealed to each of them.

A secret has a number; the highest counts for writing, all for reading. Who joins later gets the
present one wrapped; after somebody left, the center draws another for what is written from then.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from chain.types import BlockNumber
from federated.canonical import Digest, tagged_hash
from federated.drawing import standing
from federated.errors import StepError
from federated.party import Party, recipient_at, signers_between
from federated.study import Study
from storage.artefact import open_artefact, rewrap, seal
from storage.envelope import read_envelope
from storage.erasure import envelopes_of
from storage.errors import (
    ArtefactError,
    CorruptBlock,
    MalformedBlock,
    MissingBlock,
    StorageError,
    Unreachable,
)
from storage.keys import RecipientKey
from storage.keywords import SECRET_SIZE, IndexKey
from storage.manifest import Manifest, read_manifest

KIND = "index-key"
FIRST = BlockNumber(0)
_SCHEMA = tagged_hash("consilium/index-key-schema/1")
_NUMBER_SIZE = 8


@dataclass(frozen=True, slots=True)
class _Secret:
    number: int
    secret: bytes = field(repr=False)
    manifest: Manifest


def index_context(party: Party, study: Study) -> Digest:
    """What secrets and indexes of a study are bound to (32 bytes)."""
    rounds = bytes.fromhex(party.chain.rounds.address[2:])
    place = (party.chain.client.chain_id, rounds, study.number, study.spec_digest)
    return tagged_hash("consilium/index-context/1", *place)


def share_key(party: Party, study: Study, *, renew: bool = False) -> None:
    """Give every member the study's secret; the center's. `renew` draws another one.

    Hospitals that were voided or left get none. Idempotent but for `renew`.
    """
    if party.address != study.center:
        raise StepError(f"study {study.number}: only its center shares the index's secret")
    context, found = index_context(party, study), _secrets(party, study)
    if found and not renew:
        wrap_for_members(party, study, found[0].manifest)
        return
    number = max((item.number for item in found), default=0) + 1
    sealed = seal(
        party.store,
        number.to_bytes(_NUMBER_SIZE, "big") + secrets.token_bytes(SECRET_SIZE),
        kind=KIND,
        schema=_SCHEMA,
        context=context,
        sender=party.sender,
        recipients=members_keys(party, study),
    )
    party.store.announce(_topic(context), sealed.manifest_cid)


def keys_of(party: Party, study: Study) -> list[IndexKey]:
    """The keys that this party was given, the one to write with first; none for a stranger."""
    context = index_context(party, study)
    return [IndexKey.derived(item.secret, context) for item in _secrets(party, study)]


def wrap_for_members(party: Party, study: Study, manifest: Manifest) -> None:
    """Wrap what this party sealed for members who joined since; its own envelopes alone count."""
    have = {
        key_id
        for cid in envelopes_of([party.store], manifest)
        for envelope in [read_envelope(party.store, manifest, cid)]
        if envelope.signer == party.sender.signer
        for key_id in envelope.wraps
    }
    if missing := [key for key in members_keys(party, study) if key.key_id not in have]:
        rewrap(
            party.store,
            manifest.digest,
            party.identity,
            wrapper=party.sender,
            recipients=missing,
            expected_context=manifest.context,
            expected_signer=manifest.signer,
        )


def shared_secrets(party: Party, study: Study) -> list[Manifest]:
    """Manifests of the secrets that the center sealed. Anyone may announce anything here."""
    context = index_context(party, study)
    signers = signers_between(party.chain, study.center, FIRST, party.head())
    found = []
    for cid in party.store.announced(_topic(context)):
        with suppress(ArtefactError, CorruptBlock, MalformedBlock, MissingBlock):
            manifest = read_manifest(party.store, cid.digest)
            size = manifest.plaintext_size == _NUMBER_SIZE + SECRET_SIZE
            ours = (manifest.kind, manifest.context) == (KIND, context)
            if manifest.signer in signers and ours and size:
                found.append(manifest)
    return found


def _secrets(party: Party, study: Study) -> list[_Secret]:
    """What the center sealed to this party, the highest number first."""
    found = []
    for manifest in shared_secrets(party, study):
        try:
            data = open_artefact(
                party.store,
                manifest.digest,
                party.identity,
                expected_context=manifest.context,
                expected_signer=manifest.signer,
            ).read()
        except Unreachable:
            raise
        except StorageError:
            continue  # for other members: it hides none that is for this party
        number = int.from_bytes(data[:_NUMBER_SIZE], "big")
        found.append(_Secret(number, data[_NUMBER_SIZE:], manifest))
    return sorted(found, key=lambda item: (item.number, item.manifest.digest), reverse=True)


def members_keys(party: Party, study: Study) -> list[RecipientKey]:
    """Encryption keys of the center, the auditors and the hospitals that stand."""
    return list(_members(party, study))


def _members(party: Party, study: Study) -> Iterator[RecipientKey]:
    block = party.head()
    stand = standing(party, study, block)
    hospitals = [item for place, item in enumerate(study.hospitals) if stand >> place & 1]
    for account in sorted({study.center, *study.auditors, *hospitals}):
        if account == study.center:
            yield recipient_at(party, account, block)
            continue
        with suppress(StepError, StorageError):  # its key is nowhere: it reads once it is there
            yield recipient_at(party, account, block)


def _topic(context: bytes) -> bytes:
    return tagged_hash("consilium/index-key-topic/1", context)
