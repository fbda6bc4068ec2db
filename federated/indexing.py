"""Indexes by keyword of what each author sealed for a study: written here, read by any member.

An author lists its own artefacts alone. Beside the tokens, which tell the store nothing, lies a
catalogue of the keywords themselves, sealed to the members: who finds an artefact by its tokens
checks there that the author stands by the keyword.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from chain.types import Address
from federated.canonical import tagged_hash
from federated.catalogue import read_catalogue, seal_catalogue
from federated.errors import StepError
from federated.evidence import evidence_of
from federated.index_keys import (
    FIRST,
    index_context,
    keys_of,
    shared_secrets,
    wrap_for_members,
)
from federated.party import Party, signers_between
from federated.study import Study
from storage.cid import Cid
from storage.erasure import envelopes_of
from storage.errors import (
    ArtefactError,
    CorruptBlock,
    MalformedBlock,
    MissingBlock,
    NotARecipient,
    StorageError,
    Unreachable,
)
from storage.keywords import (
    MOST_KEYWORDS,
    Index,
    normalised,
    read_index,
    write_index,
)
from storage.manifest import read_manifest

STUDY_KIND = "study"


@dataclass(frozen=True, slots=True)
class Listed:
    """What an author may list: an artefact's or the spec's digest, its kind, its round or 0."""

    digest: bytes
    kind: str
    round_number: int
    account: Address


def listable(party: Party, study: Study) -> dict[bytes, Listed]:
    """By digest: the spec, the center's, and the artefacts that the chain names."""
    found = {
        study.spec_digest: Listed(study.spec_digest, STUDY_KIND, 0, study.center),
    }
    for item in evidence_of(party, study, party.head()):
        found[item.digest] = Listed(item.digest, item.kind, item.round_number, item.account)
    return found


def index_own(
    party: Party, study: Study, keywords: Sequence[str] = (), rounds: Sequence[int] = ()
) -> Index:
    """List all of the party's own artefacts, with `keywords` for those of `rounds` (all if empty).

    What was listed before keeps its keywords; where nothing changes nothing is written. Raises
    `StepError` for who has no key yet or nothing to list, `BadKeyword`.
    """
    keys = keys_of(party, study)
    if not keys:
        raise StepError(
            f"study {study.number}: no secret of its index is sealed to {party.address}: ask the "
            "center to run `consilium study index`"
        )
    own = [item for item in listable(party, study).values() if item.account == party.address]
    if not own:
        raise StepError(f"study {study.number}: {party.address} has sealed nothing for it yet")
    last = latest_indexes(party, study).get(party.address)
    known = {} if last is None else _known(party, study, last)
    entries = {}
    for item in own:
        more = keywords if not rounds or item.round_number in rounds else ()
        before = known.get(item.digest) or _given(party, study, item)
        entries[item.digest] = sorted({*before, *map(normalised, more)})
    if last is not None and last.key_id == keys[0].key_id and known == entries:
        wrap_for_members(party, study, read_manifest(party.store, last.catalogue))
        return last
    context = index_context(party, study)
    cid = write_index(
        party.store,
        entries,
        key=keys[0],
        context=context,
        number=1 if last is None else last.number + 1,
        catalogue=seal_catalogue(party, study, entries, context),
        sender=party.sender,
    )
    party.store.announce(index_topic(context), cid)
    if last is not None:
        for old in _pinned_for(party, last):
            party.store.unpin(old)
    return read_index(party.store, cid)


def latest_indexes(party: Party, study: Study) -> dict[Address, Index]:
    """By author, the newest index of each: of the center and the hospitals, no one else."""
    context, head = index_context(party, study), party.head()
    signers = {
        signer: account
        for account in {study.center, *study.hospitals}
        for signer in signers_between(party.chain, account, FIRST, head)
    }
    found: dict[Address, Index] = {}
    for cid in party.store.announced(index_topic(context)):
        try:
            index = read_index(party.store, cid)
        except Unreachable:
            raise
        except StorageError:
            continue  # anyone may announce anything: what is no index hides none
        account = signers.get(index.signer)
        if account is None or index.context != context:
            continue
        last = found.get(account)
        if last is None or (last.number, last.cid) < (index.number, index.cid):
            found[account] = index
    return found


def index_topic(context: bytes) -> bytes:
    """Where indexes are announced (32 bytes)."""
    return tagged_hash("consilium/index-topic/1", context)


def index_roots(party: Party, study: Study) -> Iterator[Cid]:
    """What members pin for the study's indexes and the secrets that they are made with."""
    for index in latest_indexes(party, study).values():
        yield from _pinned_for(party, index)
    for manifest in shared_secrets(party, study):
        yield from envelopes_of([party.store], manifest)


def _pinned_for(party: Party, index: Index) -> list[Cid]:
    """An author may name anybody's artefact for its catalogue: only its own counts."""
    with suppress(ArtefactError, CorruptBlock, MalformedBlock, MissingBlock):
        manifest = read_manifest(party.store, index.catalogue)
        if (manifest.signer, manifest.context) == (index.signer, index.context):
            return [index.cid, *envelopes_of([party.store], manifest)]
    return [index.cid]


def _known(party: Party, study: Study, last: Index) -> Mapping[bytes, Sequence[str]]:
    """The author's own keywords of before; none once its key was exchanged, or nobody has them."""
    try:
        return read_catalogue(party, study, last)
    except (MissingBlock, NotARecipient):
        return {}


def _given(party: Party, study: Study, item: Listed) -> list[str]:
    """Keywords that every artefact has: what it is, of which round, author and study."""
    spec = study.spec
    words = re.findall(r"\w{3,}", f"{spec.title} {spec.question}")
    first = [item.kind, party.name, spec.name, spec.model.name, spec.strategy.name, spec.task]
    if item.round_number:
        first.append(f"round {item.round_number}")
    found = dict.fromkeys(normalised(word) for word in [*first, *spec.purposes, *words] if word)
    return sorted(list(found)[: MOST_KEYWORDS // 2])
