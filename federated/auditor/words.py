"""What an auditor signs about things that are not there, after it looked itself."""

from __future__ import annotations

from chain.round_events import Frozen, Submitted
from federated.errors import StepError
from federated.judging import leaves_of, open_update
from federated.missing import confirm_missing
from federated.party import Party, recipient_at
from federated.study import Study
from federated.unopened import confirm_unopened
from storage.artefact import rewrap
from storage.errors import ArtefactError, CorruptBlock, MalformedBlock, MissingBlock


def rule_on_list(party: Party, study: Study, frozen: Frozen) -> bytes:
    """Sign that a list of leaves is nowhere; returns the record's digest.

    Raises `StepError` before submitBy, and where the list is there.
    """
    _require_late(party, study, frozen)
    if leaves_of(party.store, frozen) is not None:
        raise StepError(f"the list of {frozen.hospital} in round {frozen.round} is there")
    return confirm_missing(party, frozen)


def rule_on_update(party: Party, study: Study, frozen: Frozen, event: Submitted) -> bytes | None:
    """Try an update that the center cannot open.

    If it opens, its key is wrapped for the center, and None returned; else the auditor signs that
    it does not: the record's digest. Raises `StepError` where bytes may still arrive.
    """
    try:
        opened = open_update(party, study, frozen, event)
        opened.read()
    except (MissingBlock, CorruptBlock):
        _require_late(party, study, frozen)
        return confirm_unopened(party, frozen, event)
    except (ArtefactError, MalformedBlock):
        return confirm_unopened(party, frozen, event)
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


def _require_late(party: Party, study: Study, frozen: Frozen) -> None:
    block = party.head()
    until = party.chain.rounds.deadlines(study.number, frozen.round, block_identifier=block)
    if party.chain.client.timestamp() <= until.submit_by:
        raise StepError(
            f"study {study.number}: round {frozen.round}: what is missing may arrive until submitBy"
        )
