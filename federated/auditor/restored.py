"""Restored weights: who voted, and whether the hospital had been left out falsely."""

from __future__ import annotations

from chain.challenges import RestoreVoted
from chain.errors import LogsDisagree
from chain.round_events import Restored
from chain.types import BlockNumber
from federated.auditor.verdict import Checks, Place
from federated.party import Party
from federated.study import Study

_CHECK = "restored"


def check_restored(party: Party, study: Study, block: BlockNumber, checks: Checks) -> None:
    """Each weight that auditors restored: by a quorum, and against no rule that this audit found.

    Comes after the rounds: an exclusion that this level judged and found right speaks against the
    quorum. A false one is a finding of its own, which no restoring takes back. Where an auditor's
    word excludes, and a quorum restores, one of both is false, and no reader can tell which.
    """
    with checks.guarded(_CHECK):
        chain = party.chain
        restored = chain.rounds.restorations(study.number, to_block=block)
        votes = chain.challenges.votes_to_restore(study.number, to_block=block)
        for event in restored:
            _check_one(study, event, votes, checks)


def _check_one(study: Study, event: Restored, votes: list[RestoreVoted], checks: Checks) -> None:
    at = Place(event.round, event.index)
    voters = {v.auditor for v in votes if (v.round, v.index) == (event.round, event.index)}
    if len(voters & set(study.auditors)) < max(1, study.terms.auditor_quorum):
        raise LogsDisagree(
            f"study {study.number}: round {event.round}: a weight was restored, and the node's "
            "logs do not show the votes of a quorum: it lies or is out of step; ask another"
        )
    if _was_lawful(at, checks):
        detail = "auditors restored its weight, and a rule or an auditor's word excludes its update"
        checks.add(_CHECK, False, detail, at)
    else:
        detail = f"{len(voters)} auditors found it left out falsely: its weight counts"
        checks.note(_CHECK, detail, at)


def _was_lawful(at: Place, checks: Checks) -> bool:
    """Whether this audit judged why the update was left out, and came to the center's code."""
    place = (at.round_number, at.hospital)
    judged = [
        check.ok
        for check in checks.found
        if check.name == "exclusion" and (check.round_number, check.hospital) == place
    ]
    return bool(judged) and all(judged)
