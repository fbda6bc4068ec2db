"""One submission, judged by rule: by the center when it aggregates, by an auditor when it replays.

Whoever runs this with a key that the update is sealed to comes to the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.round_events import Frozen, Submitted
from chain.types import BlockNumber
from federated.aggregate import WeightedSum
from federated.cohort import Leaf
from federated.combining import Total
from federated.errors import CohortError, StepError, Unjudged
from federated.exclusion import ExclusionCode, judge_stored
from federated.leaf_list import read_leaves
from federated.missing import confirmed_missing
from federated.models import update_schema
from federated.party import Party, recipient_at, signer_at
from federated.phase import may_arrive
from federated.staleness import contexts_of_update, discounted
from federated.stored import Stored
from federated.study import Study
from federated.tensors import MAX_HEADER, encoded_size
from federated.unopened import confirmed_unopened
from storage.artefact import Opened, open_artefact, rewrap
from storage.errors import (
    ArtefactError,
    CorruptBlock,
    MalformedBlock,
    MissingBlock,
    StorageError,
    Unanswered,
    Unreachable,
    caused_by,
    told_in_full,
)
from storage.manifest import Manifest, read_manifest
from storage.store import BlockStore

UPDATE_KIND = "update"
NO_LIST = (MissingBlock, MalformedBlock, CohortError)
"""What reading a list raises where no member has it, or what they have is none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The update's plaintext, which `segments` reads as grid steps, or the code that excludes it.

    Neither is there where the update was added to a sum. `opened` tells that its key was found,
    `size` is that of the payload in bytes, `envelope` the CID (bytes) of an auditor's word that the
    update does not open. `weight` is what the update counts for in the mean: the frozen weight,
    less where it is stale by `staleness` models. `silence` is of members who may have what it needs
    and did not answer, where an auditor's word stands in for it: a later reader may find it there.
    """

    update: Stored | None
    code: ExclusionCode | None
    size: int = 0
    envelope: bytes = b""
    opened: bool = False
    weight: int = 0
    staleness: int = 0
    silence: Unanswered | None = None


def judge_submission(
    party: Party, study: Study, frozen: Frozen, event: Submitted, into: Total | None = None
) -> Judged:
    """Judge one submission with the party's own key; one that no rule excludes is added to `into`.

    A store that cannot be reached is an error and no verdict: it raises what the store raises. What
    nobody has, what the store gives altered, and what does not open, is a code only by a named
    auditor's word; until then it raises `Unjudged`. A study that names no auditor takes the party's
    own word that no envelope opens: until submitBy not while a member who may have one is silent.
    """
    if (unlisted := _judge_list(party, study, frozen)) is not None:
        return unlisted
    try:
        manifest = check_manifest(party, study, frozen, event)
        return _judge_bytes(party, study, frozen, event, manifest, into)
    except (MissingBlock, CorruptBlock) as exc:
        if by_word := _left_out_by_word(party, study, frozen, event, exc):
            return by_word
        lost = "is in no member's store" if isinstance(exc, MissingBlock) else "is stored altered"
        raise _unjudged(study, event, lost, exc) from exc
    except (ArtefactError, MalformedBlock):  # of the manifest: what it seals is judged below
        return Judged(None, ExclusionCode.SCHEMA)


def still_stands(
    party: Party, study: Study, frozen: Frozen, event: Submitted, judged: Judged
) -> bool:
    """Whether what was added to a sum earlier would be now, of the same freeze and submission.

    Its bytes were those that its manifest names and are so for ever. What the chain and the members
    say of it is asked again. Raises `Unreachable`.
    """
    if judged.code is not None or leaves_of(party.store, frozen) is None:
        return False
    try:
        manifest = check_manifest(party, study, frozen, event)
    except Unreachable:
        raise
    except StorageError:
        return False
    staleness = contexts_of_update(party, study, frozen)[manifest.context]
    return judged.weight == discounted(frozen.freeze.weight, staleness)


def _judge_list(party: Party, study: Study, frozen: Frozen) -> Judged | None:
    """What an auditor's word says of a list that is not there; None where it is, or nobody did."""
    try:
        read_leaves(party.store, frozen.freeze.leaf_list, most=frozen.freeze.n)
    except NO_LIST as exc:
        if confirmed_missing(party, study, frozen):
            silence = caused_by(exc, Unanswered)
            return Judged(None, ExclusionCode.LIST_MISSING, silence=silence)
    return None


def _left_out_by_word(
    party: Party, study: Study, frozen: Frozen, event: Submitted, why: StorageError
) -> Judged | None:
    """What an auditor's word says of an update that is not there or does not open."""
    word = confirmed_unopened(party, study, frozen, event)
    if word is None:
        return None
    code, silence = ExclusionCode.UNDECRYPTABLE, caused_by(why, Unanswered)
    return Judged(None, code, envelope=bytes(word), silence=silence)


def _judge_bytes(
    party: Party,
    study: Study,
    frozen: Frozen,
    event: Submitted,
    manifest: Manifest,
    into: Total | None,
) -> Judged:
    if is_oversized(study, manifest):
        return Judged(None, ExclusionCode.SHAPE)
    try:
        opened = open_update(party, study, frozen, event)
    except Unreachable:
        raise
    except StorageError as exc:  # of envelopes; anyone may have announced a broken one
        if by_word := _left_out_by_word(party, study, frozen, event, exc):
            return by_word
        unheard = caused_by(exc, Unanswered) is not None and may_arrive(party, frozen)
        if study.auditors or unheard:
            raise _unjudged(study, event, "does not open with the key at hand", exc) from exc
        return Judged(None, ExclusionCode.UNDECRYPTABLE)
    staleness = contexts_of_update(party, study, frozen)[manifest.context]
    weight = discounted(frozen.freeze.weight, staleness)
    seen = Judged(
        None, None, manifest.payload_size, opened=True, weight=weight, staleness=staleness
    )
    try:
        if isinstance(into, WeightedSum) and into.add_judged(opened.payload, weight):
            return seen
        update = Stored.copied(opened.payload.copy_to, party.journal.folder)
    except (ArtefactError, MalformedBlock):  # the key is right: everybody who opens sees the same
        return replace(seen, code=ExclusionCode.UNDECRYPTABLE)
    if (code := judge_stored(update, study.spec)) is not None:
        return replace(seen, code=code)
    if into is None:
        return replace(seen, update=update)
    into.add_stored([(update, weight)])
    return seen


def _unjudged(study: Study, event: Submitted, what: str, why: StorageError) -> Unjudged:
    advice = "ask an auditor of the study to try it with `consilium challenge unopened`"
    if not study.auditors:
        advice = "start the member who has it, for the study names no auditor to ask"
    return Unjudged(
        (event.index,),
        f"study {study.number}: round {event.round}: the update of {event.hospital} {what} "
        f"({told_in_full(why)}): {advice}",
    )


def open_update(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Opened:
    """The update, for one whom it is sealed to. Raises what `check_manifest` and the store do."""
    manifest = check_manifest(party, study, frozen, event)
    return open_artefact(
        party.store,
        event.manifest,
        party.identity,
        expected_context=manifest.context,
        expected_signer=manifest.signer,
    )


def wrap_for_auditors(party: Party, study: Study, frozen: Frozen, event: Submitted) -> None:
    """Wrap an update that opened for every named auditor.

    A hospital that wraps well for the center and badly for an auditor would else make the audit of
    an honest center fail.
    """
    manifest = check_manifest(party, study, frozen, event)
    block = party.head()
    rewrap(
        party.store,
        event.manifest,
        party.identity,
        wrapper=party.sender,
        recipients=[recipient_at(party, auditor, block) for auditor in study.auditors],
        expected_context=manifest.context,
        expected_signer=manifest.signer,
    )


def is_oversized(study: Study, manifest: Manifest) -> bool:
    """Whether it states more bytes than any update has: nobody needs to read them to judge it."""
    return manifest.plaintext_size > encoded_size(update_schema(study.spec)) + MAX_HEADER


def check_manifest(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Manifest:
    """The artefact's manifest, if it says what the chain says. Needs no key.

    Its context is the round's, or an earlier one's where the study takes late updates. Raises the
    store's `ArtefactError`s: unsigned by the hospital's key of then, sealed for another context, or
    of another kind, schema or commitment.
    """
    manifest = read_manifest(party.store, event.manifest)
    try:
        signer = signer_at(party.chain, event.hospital, BlockNumber(event.block))
    except StepError as exc:  # it submits without keys: nothing that anybody signed is its own
        raise ArtefactError(f"manifest {manifest.cid}: {exc}") from exc
    contexts = contexts_of_update(party, study, frozen)
    context = manifest.context if manifest.context in contexts else next(iter(contexts))
    manifest.expect(context=context, signer=signer)
    wanted = (UPDATE_KIND, update_schema(study.spec).digest(), event.commitment)
    if (manifest.kind, manifest.schema, manifest.commitment) != wanted:
        raise ArtefactError(
            f"manifest {manifest.cid} is not that of an update of this study, or has another "
            "commitment than the submission"
        )
    return manifest


def leaves_of(store: BlockStore, frozen: Frozen) -> tuple[Leaf, ...] | None:
    """The published list of a cohort; None where no member has it, or what they have is none."""
    try:
        return read_leaves(store, frozen.freeze.leaf_list, most=frozen.freeze.n)
    except NO_LIST:
        return None
