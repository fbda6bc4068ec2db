"""One submission, judged by rule: by the center when it aggregates, by an auditor when it replays.

Whoever runs this with a key that the update is sealed to comes to the same code.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.rounds import Frozen, Submitted
from chain.types import BlockNumber
from federated.cohort import Leaf
from federated.context import update_context
from federated.errors import CohortError
from federated.exclusion import ExclusionCode, judge
from federated.leaf_list import read_leaves
from federated.missing import confirmed_missing
from federated.models import update_schema
from federated.party import Party, signer_at
from federated.schema import Array
from federated.study import Study
from federated.tensors import decode_vector
from storage.artefact import open_artefact
from storage.errors import ArtefactError, MalformedBlock, MissingBlock
from storage.manifest import Manifest, read_manifest
from storage.store import BlockStore

UPDATE_KIND = "update"


@dataclass(frozen=True, slots=True)
class Judged:
    """The update as a flat vector of grid steps, or the code that excludes it.

    `size` is that of the payload in bytes; `envelope` the CID (bytes) that was tried, if one was.
    """

    vector: Array | None
    code: ExclusionCode | None
    size: int = 0
    envelope: bytes = b""


def judge_submission(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Judged:
    """Judge one submission with the party's own key.

    A store that cannot be reached, or lacks a block, is an error and no verdict: it raises what
    the store raises. Only a missing list of leaves is a code, once a named auditor confirmed it.
    """
    if leaves_of(party.store, frozen) is None and confirmed_missing(party, study, frozen):
        return Judged(None, ExclusionCode.LIST_MISSING)
    try:
        manifest = check_manifest(party, study, frozen, event)
    except (ArtefactError, MalformedBlock):
        return Judged(None, ExclusionCode.SCHEMA)
    try:
        opened = open_artefact(
            party.store,
            event.manifest,
            party.identity,
            expected_context=manifest.context,
            expected_signer=manifest.signer,
        )
        data = opened.read()
    except ArtefactError:
        return Judged(None, ExclusionCode.UNDECRYPTABLE, manifest.payload_size)
    if (code := judge(data, study.spec)) is not None:
        return Judged(None, code, manifest.payload_size)
    return Judged(decode_vector(data, update_schema(study.spec)), None, manifest.payload_size)


def check_manifest(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Manifest:
    """The artefact's manifest, if it says what the chain says. Needs no key.

    Raises the store's `ArtefactError`s: unsigned by the hospital's key of then, sealed for another
    context, or of another kind, schema or commitment.
    """
    manifest = read_manifest(party.store, event.manifest)
    signer = signer_at(party.chain, event.hospital, BlockNumber(event.block))
    manifest.expect(context=context_of_update(party, study, frozen), signer=signer)
    wanted = (UPDATE_KIND, update_schema(study.spec).digest(), event.commitment)
    if (manifest.kind, manifest.schema, manifest.commitment) != wanted:
        raise ArtefactError(
            f"manifest {manifest.cid} is not that of an update of this study, or has another "
            "commitment than the submission"
        )
    return manifest


def context_of_update(party: Party, study: Study, frozen: Frozen) -> bytes:
    """What an update must have been sealed for (32 bytes)."""
    freeze = frozen.freeze
    block = BlockNumber(frozen.block)
    round_ = party.chain.rounds.round(study.number, freeze.round, block_identifier=block)
    return update_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=freeze.round,
        spec=study.spec_digest,
        state=round_.start_state,
        root=freeze.root,
    )


def leaves_of(store: BlockStore, frozen: Frozen) -> tuple[Leaf, ...] | None:
    """The published list of a cohort; None where no member has it, or what they have is none."""
    try:
        return read_leaves(store, frozen.freeze.leaf_list)
    except (MissingBlock, MalformedBlock, CohortError):
        return None
