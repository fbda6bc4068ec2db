"""Updates that come a round too late: which a later round takes, and what they still weigh.

A study whose spec says `late` takes in round q an update that was trained in an earlier round p.
Its context stays that of p, so nobody seals it anew and everybody reads p from the artefact's
manifest, without a key. Staleness counts models, not rounds: how often the global model moved on
between the two starts (Xie et al. 2019). The weight is divided by one more than it, as integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chain.round_events import Frozen
from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.context import update_context
from federated.party import Party
from federated.study import Study


def discounted(weight: int, staleness: int) -> int:
    """What a frozen weight counts for in the mean: ⌊weight / (1 + staleness)⌋, at least 1."""
    return max(1, weight // (1 + staleness))


def contexts_of_update(party: Party, study: Study, frozen: Frozen) -> dict[bytes, int]:
    """What an update of this freeze may have been sealed for (32 bytes), and the staleness then.

    Its own round first. An earlier one stands beside it when the hospital froze this very cohort
    there: nobody who withdrew since is in it.
    """
    freeze, block = frozen.freeze, BlockNumber(frozen.block)
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, freeze.round, block_identifier=block)
    found = {_context(party, study, freeze.round, round_, freeze.root): 0}
    for number, earlier, staleness in open_rounds(
        party, study, freeze.round, freeze.hospital, block
    ):
        freezes = rounds.freezes(study.number, number, to_block=block)
        if freeze.root in [e.freeze.root for e in freezes if e.freeze.hospital == freeze.hospital]:
            found[_context(party, study, number, earlier, freeze.root)] = staleness
    return found


def open_rounds(
    party: Party, study: Study, number: RoundNumber, hospital: int, block: BlockNumber
) -> Iterator[tuple[RoundNumber, Round, int]]:
    """Rounds before `number` that the hospital (its index) still owes an update, newest first.

    It froze there and submitted nothing since: one training gives one update. The model that it
    started from is one that this round's start descends from, `most` steps away or fewer.
    """
    if study.spec.late is None:
        return

    def round_at(place: RoundNumber) -> Round:
        return party.chain.rounds.round(study.number, place, block_identifier=block)

    yield from owed(round_at, number, hospital, study.spec.late.most)


def owed(
    round_at: Callable[[RoundNumber], Round], number: RoundNumber, hospital: int, most: int
) -> Iterator[tuple[RoundNumber, Round, int]]:
    """As `open_rounds`, of rounds wherever they are read."""
    line = _line(round_at, round_at(number).parent, most)
    for place in map(RoundNumber, range(number - 1, min(line), -1)):
        earlier = round_at(place)
        if earlier.submitted >> hospital & 1:
            return
        if earlier.frozen >> hospital & 1 and earlier.parent in line:
            yield place, earlier, line[earlier.parent]


def _line(
    round_at: Callable[[RoundNumber], Round], parent: RoundNumber, most: int
) -> dict[int, int]:
    """The round whose state is started from, and those before it, by steps from it."""
    found = {int(parent): 0}
    while parent and len(found) <= most:
        parent = RoundNumber(round_at(parent).parent)
        found[parent] = len(found)
    return found


def _context(party: Party, study: Study, number: RoundNumber, round_: Round, root: bytes) -> bytes:
    return update_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=number,
        spec=study.spec_digest,
        state=round_.start_state,
        root=root,
    )
