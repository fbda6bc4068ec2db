"""What an auditor signs about things that are not there, after it looked itself."""

from __future__ import annotations

from dataclasses import dataclass

from chain.round_events import Frozen, Submitted
from federated.errors import StepError
from federated.judging import NO_LIST, open_update
from federated.leaf_list import read_leaves
from federated.missing import confirm_missing
from federated.party import Party, recipient_at
from federated.phase import may_arrive
from federated.study import Study
from federated.unopened import confirm_unopened
from storage.artefact import rewrap
from storage.errors import (
    ArtefactError,
    CorruptBlock,
    MalformedBlock,
    MissingBlock,
    Unanswered,
    caused_by,
    told_in_full,
)


@dataclass(frozen=True, slots=True)
class Signed:
    """An auditor's word: its record's digest (32 bytes), and of whose `silence` it came, if of any.

    Who was silent may have what the word says is nowhere.
    """

    digest: bytes
    silence: Unanswered | None


def rule_on_list(party: Party, study: Study, frozen: Frozen) -> Signed:
    """Sign that a list of leaves is nowhere.

    Raises `StepError` before submitBy, and where the list is there.
    """
    _require_late(party, study, frozen)
    try:
        read_leaves(party.store, frozen.freeze.leaf_list, most=frozen.freeze.n)
    except NO_LIST as exc:
        return Signed(confirm_missing(party, frozen), caused_by(exc, Unanswered))
    raise StepError(f"the list of {frozen.hospital} in round {frozen.round} is there")


def rule_on_update(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Signed | None:
    """Try an update that the center cannot open.

    If it opens, its key is wrapped for the center, and None returned; else the auditor signs that
    it does not. Raises `StepError` where bytes or envelopes may still arrive.
    """
    try:
        opened = open_update(party, study, frozen, event)
        opened.read()
    except (ArtefactError, CorruptBlock, MalformedBlock, MissingBlock) as exc:
        silence = caused_by(exc, Unanswered)
        if silence is not None or isinstance(exc, CorruptBlock | MissingBlock):
            _require_late(party, study, frozen, exc)
        return Signed(confirm_unopened(party, frozen, event), silence)
    rewrap(
        party.store,
        event.manifest,
        party.identity,
        wrapper=party.sender,
        recipients=[recipient_at(party, study.center, party.head())],
        expected_context=opened.manifest.context,
        expected_signer=opened.manifest.signer,
    )
    return None


def _require_late(party: Party, study: Study, frozen: Frozen, why: Exception | None = None) -> None:
    if may_arrive(party, frozen):
        said = f" ({told_in_full(why)})" if why is not None else ""
        raise StepError(
            f"study {study.number}: round {frozen.round}: what is missing may arrive until "
            f"submitBy: sign after that{said}"
        ) from why
