"""A center opens rounds, each from the newest state that stands."""

from __future__ import annotations

from chain.types import BlockNumber, RoundNumber, StudyId
from federated.center.inputs import reachable
from federated.drawing import END, drawn_for, standing
from federated.errors import StepError
from federated.party import Party
from federated.provenance import parent_round
from federated.published import read_result
from federated.study import Study, read_study
from storage.artefact import rewrap


def open_round(party: Party, number: StudyId) -> RoundNumber:
    """Open the next round; returns the live one where a round is open already.

    It is for all hospitals, or for those drawn where the spec says so. Raises `StepError` when the
    study has had all its rounds.
    """
    chain, block = party.chain, party.head()
    study = read_study(chain, party.store, number, block)
    count = chain.rounds.count(number, block_identifier=block)
    live = RoundNumber(count)
    if count and not chain.rounds.is_over(number, live, block_identifier=block):
        return live
    if count >= study.terms.max_rounds:
        raise StepError(f"study {number} has had all its {count} rounds; settle it")
    parent = parent_round(party, study, block)
    state = (
        chain.rounds.round(number, parent, block_identifier=block).state
        if parent
        else study.terms.state
    )
    if parent:
        _wrap_for_newcomers(party, study, parent, block)
    following = RoundNumber(count + 1)
    call, step = chain.rounds.open(number, parent, state), f"open-{number}-{following}"
    if study.spec.sampling is not None:
        pool = standing(party, study, block)
        drawn = drawn_for(party, study, following, pool, (block, END))
        call = chain.rounds.open_drawn(number, parent, state, pool, drawn)
        step = f"{step}-{pool:x}-{drawn:x}"
    chain.client.send(call, step=step)
    return following


def _wrap_for_newcomers(
    party: Party, study: Study, parent: RoundNumber, block: BlockNumber
) -> None:
    """Let hospitals that enrolled since the parent round open the model that they start from."""
    manifest, round_, signer = read_result(party, study, parent, block)
    new = [
        event.hospital
        for event in party.chain.studies.enrolments(study.number, to_block=block)
        if event.block >= round_.open_block  # the model was sealed at some block since
    ]
    if recipients := list(reachable(party, new, block)):
        rewrap(
            party.store,
            manifest.model,
            party.identity,
            wrapper=party.sender,
            recipients=recipients,
            expected_context=manifest.context,
            expected_signer=signer,
        )
