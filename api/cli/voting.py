"""`consilium challenge restore` and `reject-root`: votes of the auditors whom a study names."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import RoundNo, StudyNumber
from api.cli.place import open_party
from api.cli.show import say, warn
from api.cli.values import hospital_index, round_of, study_of
from api.errors import ApiError
from api.home import HomeRole
from chain.types import BlockNumber, RoundNumber, StudyId
from federated.party import Party
from federated.study import Study


def restore(
    study: StudyNumber,
    round_number: RoundNo,
    hospital: Annotated[str, typer.Argument(help="The hospital: index, name or address.")],
) -> None:
    """Vote, as a named auditor, that the center left out an update falsely.

    At the study's quorum the weight that the hospital froze counts, as if it had been included. Ask
    `consilium audit STUDY --keyed` first: it says whether a rule excludes the update.

    Example: consilium --home homes/auditor challenge restore 1 2 north
    """
    party = _auditor(study)
    found = study_of(party, study)
    number = round_of(party, found.number, round_number)
    index = hospital_index(party, found, hospital)
    _check_left_out(party, found.number, number, index, hospital)
    challenges, place = party.chain.challenges, (found.number, number, index)
    party.chain.client.send(challenges.restore(*place))
    block = party.head()
    votes = challenges.restore_votes(*place, block_identifier=block)
    say(f"{_counted(found, votes)}: {hospital} was left out of round {number} falsely")
    if party.chain.rounds.restored(found.number, number, block_identifier=block) >> index & 1:
        weight = party.chain.rounds.cohort(*place, block_identifier=block).weight
        say(f"its weight of {weight} counts")
    if _root_stands(party, found.number, block):
        warn("a posted root of shares stands: restored weights count only once it is rejected")


def reject_root(study: StudyNumber) -> None:
    """Vote, as a named auditor, against the root of shares that the center posted.

    At the study's quorum the hospitals are paid by counted weights. Ask `consilium audit STUDY
    --keyed` first: it recomputes the shares.

    Example: consilium --home homes/auditor challenge reject-root 1
    """
    party = _auditor(study)
    found = study_of(party, study)
    escrow = party.chain.escrow
    party.chain.client.send(escrow.reject_reward_root(found.number))
    posted = escrow.reward_root(found.number, block_identifier=party.head())
    say(f"{_counted(found, posted.votes)}: the posted shares are false")
    if posted.rejected:
        say("the root is rejected; hospitals are paid by counted weights")


def _auditor(study: int) -> Party:
    party = open_party(HomeRole.AUDITOR)
    if party.address not in study_of(party, study).auditors:
        raise ApiError(
            f"{party.address} is no auditor whom study {study} names; use the home of one of them"
        )
    return party


def _check_left_out(
    party: Party, study: StudyId, number: RoundNumber, index: int, hospital: str
) -> None:
    """Say which condition the contract would refuse for."""
    rounds, block = party.chain.rounds, party.head()
    if rounds.restorable(study, number, block_identifier=block) >> index & 1:
        return
    round_ = rounds.round(study, number, block_identifier=block)
    barred = rounds.barred(study, block_identifier=block)
    restored = rounds.restored(study, number, block_identifier=block)
    reasons = (
        (not round_.finalized, f"round {number} is not finalized, so nobody is left out of it"),
        (not round_.submitted >> index & 1, f"{hospital} did not submit to round {number}"),
        (round_.included >> index & 1, f"{hospital} is included in round {number}"),
        (barred >> index & 1, f"{hospital} was voided, which cancels its whole share"),
        (restored >> index & 1, f"the weight of {hospital} in round {number} is restored already"),
    )
    raise ApiError(next(f"study {study}: {words}" for holds, words in reasons if holds))


def _root_stands(party: Party, study: StudyId, block: BlockNumber) -> bool:
    posted = party.chain.escrow.reward_root(study, block_identifier=block)
    return any(posted.root) and not posted.rejected


def _counted(study: Study, votes: int) -> str:
    return f"{votes} of {max(1, study.terms.auditor_quorum)} votes that are needed"
