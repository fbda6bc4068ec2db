"""One submission judged again, by the center's rules, against what its manifest says."""

from __future__ import annotations

from chain.round_events import Frozen, Submitted
from federated.combining import Total
from federated.errors import Unjudged
from federated.exclusion import ExclusionCode
from federated.judging import Judged, judge_submission
from federated.party import Party
from federated.study import Study


def judge_again(
    party: Party,
    study: Study,
    frozen: Frozen,
    event: Submitted,
    code: ExclusionCode | None,
    into: Total | None = None,
) -> Judged:
    """What the rules give now; `code` is the manifest's, None where it includes the update.

    An auditor may sign that something is missing while its hospital is down, and the center rightly
    include it once it is back. If a member is silent now who may have it, the rules give that word
    and nobody can tell which was right: raises `Unjudged`, as for all that `judge_submission` does.
    """
    judged = judge_submission(party, study, frozen, event, into)
    if judged.silence is not None and judged.code != code:
        raise Unjudged(
            (event.index,),
            f"study {study.number}: round {event.round}: an auditor signed that the update of "
            f"{event.hospital} is {judged.code}, and a member who may have what that was about "
            "does not answer: audit again once it does",
        ) from judged.silence
    return judged
