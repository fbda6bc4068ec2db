"""Find studies and artefacts by keyword, in the indexes of the studies that a party is a member of.

All indexes are read whole and compared here: the store sees no query. Nothing is believed for its
tokens alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chain.types import Address, StudyId
from federated.catalogue import read_catalogue
from federated.errors import FederatedError
from federated.index_keys import keys_of
from federated.indexing import STUDY_KIND, Listed, latest_indexes, listable
from federated.party import Party
from federated.study import Study, read_study
from storage.cid import dag_cbor_cid
from storage.errors import MissingBlock, StorageError, Unreachable
from storage.keywords import Index, normalised
from storage.manifest import Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class Hit:
    """An artefact, or a study's spec, that its author lists under all keywords.

    `gone`: its manifest is in no member's store any more, erased perhaps.
    """

    study: StudyId
    listed: Listed
    keywords: frozenset[str]
    gone: bool = False


@dataclass(slots=True)
class Found:
    """Hits in order of study; `refused` says which entries were not believed, and why.

    `without_key` are studies whose index this party cannot read.
    """

    hits: list[Hit] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    without_key: list[StudyId] = field(default_factory=list)


def find(party: Party, keywords: Sequence[str], studies: Sequence[StudyId] = ()) -> Found:
    """What is listed under all keywords, in these studies or in all. Raises `BadKeyword`."""
    block, found = party.head(), Found()
    wanted = frozenset(map(normalised, keywords))
    count = party.chain.studies.count(block_identifier=block)
    for number in studies or [StudyId(place) for place in range(1, count + 1)]:
        try:
            study = read_study(party.chain, party.store, number, block)
        except MissingBlock:
            if studies:
                raise
            continue  # given up by all
        _find_in(party, study, wanted, found)
    return found


def _find_in(party: Party, study: Study, wanted: frozenset[str], found: Found) -> None:
    keys = {key.key_id: key for key in keys_of(party, study)}
    if not keys:
        found.without_key.append(study.number)
        return
    known = listable(party, study)
    for author, index in sorted(latest_indexes(party, study).items()):
        key = keys.get(index.key_id)
        digests = [] if key is None else index.matching(key, wanted)
        if not digests:
            continue
        try:
            catalogue = read_catalogue(party, study, index)
        except Unreachable:
            raise
        except (FederatedError, StorageError) as exc:
            found.refused.append(f"study {study.number}: the index of {author}: {exc}")
            continue
        for digest in digests:
            listed, has = known.get(digest), frozenset(catalogue.get(digest, ()))
            if why := _fault(party, index, author, listed, has, wanted):
                cid = dag_cbor_cid(digest)
                found.refused.append(f"study {study.number}: {author} lists {cid}: {why}")
            elif listed is not None:
                gone = listed.kind != STUDY_KIND and _manifest(party, digest) is None
                found.hits.append(Hit(study.number, listed, has, gone))


def _fault(
    party: Party,
    index: Index,
    author: Address,
    listed: Listed | None,
    has: frozenset[str],
    wanted: frozenset[str],
) -> str:
    """Why an entry is not believed; empty for a sound one."""
    if listed is None or listed.account != author:
        return "it is no artefact of its own in this study"
    if not wanted <= has:
        return "its catalogue does not have the keyword"
    if listed.kind == STUDY_KIND:
        return ""
    manifest = _manifest(party, listed.digest)
    own = (index.signer.address, listed.kind)
    if manifest is not None and (manifest.signer.address, manifest.kind) != own:
        return "its manifest is another's"
    return ""


def _manifest(party: Party, digest: bytes) -> Manifest | None:
    """None where no member has it. Raises `ArtefactError` for what is none."""
    try:
        return read_manifest(party.store, digest)
    except MissingBlock:
        return None
