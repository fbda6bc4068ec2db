"""What a study needs of its center now: one look, and the step that is due."""

from __future__ import annotations

from collections.abc import Callable

from chain.round_types import Round
from chain.types import Address, RoundNumber, StudyId
from federated.candidates import Candidates
from federated.center.aggregate import finalize
from federated.center.ahead import fetch_ahead
from federated.center.inputs import Inputs, read_inputs
from federated.center.propose import hear, measures, propose_for
from federated.center.rounds import open_round
from federated.center.stuck import STUCK, is_stuck, remember
from federated.directory import known_as
from federated.outcome import outcomes
from federated.party import Party
from federated.phase import is_complete, report_by, standing
from federated.study import Study, read_study

Say = Callable[[str], None]


def advance(party: Party, number: StudyId, say: Say) -> bool:
    """Propose or finalize the live round when it is complete, else open the next.

    True once all are over. A round that stays below k updates, or waits for an auditor's word on
    one of them, is waited for until finalizeBy, then another is opened. At its end each hospital is
    named whose update is not in the model. Raises what the steps raise; every step is idempotent.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    now = party.chain.client.timestamp()
    count = RoundNumber(party.chain.rounds.count(number, block_identifier=block))
    if count:
        round_ = party.chain.rounds.round(number, count, block_identifier=block)
        if not (round_.finalized or round_.aborted or now > round_.finalize_by):
            _finalize(party, study, count, round_, now, say)
            return False
        if not round_.finalized:
            _tell_lapsed(party, study, count, say)
    if count >= study.terms.max_rounds or now > study.terms.end_by:
        return True
    say(f"round {open_round(party, number)} is open")
    return False


def _finalize(
    party: Party, study: Study, number: RoundNumber, round_: Round, now: int, say: Say
) -> None:
    """Finalize the round if it is complete, and if what hospitals sent allows it; until then fetch
    what they sent."""
    barred = party.chain.rounds.barred(study.number, block_identifier=party.head())
    enough = standing(round_).bit_count() >= study.terms.min_hospitals
    if not (enough and is_complete(round_, barred, now)):
        fetch_ahead(party, study, number)
        return
    inputs = read_inputs(party, study, number, party.head())
    if is_stuck(party, study, inputs):
        return
    try:
        if not _is_judged(party, study, inputs, say):
            return
        done = finalize(party, study.number, number)
    except STUCK as exc:
        say(f"round {number} waits: {exc}")
        remember(party, inputs, study, exc)
        return
    without = _without(party, study, number)
    say(f"round {number}: finalized {done.included.bit_count()} updates{without}")


def _tell_lapsed(party: Party, study: Study, number: RoundNumber, say: Say) -> None:
    """Say, once, of a round that ends without a model who held it up."""
    step = f"ended-{study.number}-{number}"
    if party.journal.get(step) is None:
        say(f"round {number}: ends without a model{_without(party, study, number)}")
        party.journal.put(step, {})


def _without(party: Party, study: Study, number: RoundNumber) -> str:
    """Hospitals of the round whose update is not in its model, each with the reason."""
    found = outcomes(party, study, number, party.head())
    round_ = party.chain.rounds.round(study.number, number, block_identifier=party.head())
    missing = [item for item in found if round_.enrolled >> item.hospital & 1 and not item.included]
    return "".join(
        f"; {_named(party, study.hospitals[item.hospital])}: {item.said}" for item in missing
    )


def _named(party: Party, account: Address) -> str:
    return known_as(party.chain, party.store, account, party.head())


def _models(candidates: Candidates) -> str:
    count = len(candidates.items)
    return f"{count} models" if count > 1 else "its model"


def _is_judged(party: Party, study: Study, inputs: Inputs, say: Say) -> bool:
    """Whether the reports that a rule or the search needs are in, or their time is over."""
    number = inputs.number
    if not measures(study, number):
        return True
    is_new = party.journal.get(f"candidates-{study.number}-{number}") is None
    candidates = propose_for(party, study, inputs)
    if candidates is None:
        return True
    if is_new:
        say(f"round {number}: proposes {_models(candidates)}, waits for reports")
    missing = hear(party, study, inputs, candidates).missing
    if missing and party.chain.client.timestamp() <= report_by(inputs.round):
        return False
    for index in missing:
        who = _named(party, study.hospitals[index])
        say(f"round {number}: goes on without the report of {who}")
    return True
