"""While hospitals still train: what others have sent comes to the center's own store, and is added.

What is judged for good waits until the round is complete: a challenge may void what is there. But a
sum is exact, so it is begun with what has come, and used if all in it stands at the end; then the
last hospital's update is all that is waited for. A rule that compares updates has no sum: there
they are only fetched.
"""

from __future__ import annotations

from chain.round_events import Frozen, Submitted
from chain.types import RoundNumber
from federated.aggregate import SUM_ITEM, WeightedSum
from federated.center.inputs import judge_timed
from federated.chosen import spec_of_round
from federated.combining import total_of
from federated.errors import FederatedError
from federated.judging import check_manifest, is_oversized, leaves_of
from federated.memory import MOST, Begun, key_of
from federated.models import update_schema
from federated.party import Party
from federated.study import Study
from storage.errors import StorageError, Unreachable
from storage.payload import payload_size


def fetch_ahead(party: Party, study: Study, number: RoundNumber) -> int:
    """Fetch and add the updates submitted so far, each once; how many came now.

    What is missing or no update of this study is left to judging. Raises `Unreachable` where the
    store is away.
    """
    block, rounds = party.head(), party.chain.rounds
    step = f"ahead-{study.number}-{number}"
    seen = set(party.journal.get(step) or ())
    frozen = {e.freeze.hospital: e for e in rounds.freezes(study.number, number, to_block=block)}
    count = 0
    for event in rounds.submissions(study.number, number, to_block=block):
        if (place := event.digest().hex()) in seen:
            continue
        count += _bring(party, study, frozen[event.index], event)
        seen.add(place)
        party.journal.put(step, sorted(seen))
    return count


def _bring(party: Party, study: Study, frozen: Frozen, event: Submitted) -> bool:
    """Whether all of it is here, read to the size that its manifest states and no further."""
    try:
        if (begun := _begun(party, study, event.round)) is None:
            return _fetch(party, study, frozen, event)
        return _add(party, study, frozen, event, begun)
    except Unreachable:
        raise
    except (FederatedError, StorageError):  # why, and whether it stays so, is for judging to say
        return False


def _begun(party: Party, study: Study, number: RoundNumber) -> Begun | None:
    """The round's sum so far, or a new one; None of updates that have none, or a large one."""
    spec = spec_of_round(party, study, number, party.head())
    begun = party.memory.take_sum(study.number, number)
    if begun is not None and begun.spec == spec:
        return begun
    if update_schema(spec).size * SUM_ITEM > MOST:
        return None
    total = total_of(spec, party.journal.folder)
    return Begun(spec, total) if isinstance(total, WeightedSum) else None


def _add(party: Party, study: Study, frozen: Frozen, event: Submitted, begun: Begun) -> bool:
    """Fetch, judge and add it, unless that was done before."""
    key = key_of(frozen, event)
    try:
        if key not in begun.held:
            judged, taken_s = judge_timed(party, study, frozen, event, begun.total)
            if judged.code is None:
                begun.held[key] = judged, taken_s
    finally:
        party.memory.keep_sum(study.number, event.round, begun)
    return key in begun.held


def _fetch(party: Party, study: Study, frozen: Frozen, event: Submitted) -> bool:
    leaves_of(party.store, frozen)
    manifest = check_manifest(party, study, frozen, event)
    if is_oversized(study, manifest):  # a hospital must not fill its center's disk
        return False
    left = payload_size(manifest.plaintext_size)
    for piece in party.store.cat(manifest.payload):
        left -= len(piece)
        if left < 0:
            return False
    return left == 0
