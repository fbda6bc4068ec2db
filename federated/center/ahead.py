"""While hospitals still train: bring what others have sent to the center's own store.

Judging waits until the round is complete, for a challenge may void what is there. Only bytes are
fetched, each compared with its CID, so that the last hospital's update is all that is waited for.
"""

from __future__ import annotations

from chain.rounds import Frozen, Submitted
from chain.types import RoundNumber
from federated.errors import FederatedError
from federated.judging import check_manifest, is_oversized, leaves_of
from federated.party import Party
from federated.study import Study
from storage.errors import StorageError, Unreachable
from storage.payload import payload_size


def fetch_ahead(party: Party, study: Study, number: RoundNumber) -> int:
    """Fetch the updates submitted so far, each once; how many came now.

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
        count += _fetch(party, study, frozen[event.index], event)
        seen.add(place)
        party.journal.put(step, sorted(seen))
    return count


def _fetch(party: Party, study: Study, frozen: Frozen, event: Submitted) -> bool:
    """Whether all of it is here, read to the size that its manifest states and no further."""
    try:
        leaves_of(party.store, frozen)
        manifest = check_manifest(party, study, frozen, event)
        if is_oversized(study, manifest):  # a hospital must not fill its center's disk
            return False
        left = payload_size(manifest.plaintext_size)
        for piece in party.store.cat(manifest.payload):
            left -= len(piece)
            if left < 0:
                return False
    except Unreachable:
        raise
    except (FederatedError, StorageError):  # why, and whether it stays so, is for judging to say
        return False
    return left == 0
