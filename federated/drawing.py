"""Which hospitals a round is for, in a study that has some of them take part at a time.

Each hospital gets a lot, a hash; those with the lowest take part. What is hashed was fixed before
the round could be opened and by nobody's choice: the hash of the block in which the newest round
before it was finalized, or the last hospital enrolled. Whoever reads the chain repeats the draw.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.round_events import RoundOpened
from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.canonical import tagged_hash
from federated.errors import StepError
from federated.party import Party
from federated.study import Study

TAG = "consilium/draw/1"
END = 1 << 62
"""After every log of a block."""


def draw(
    pool: int,
    hospitals: int,
    *,
    chain_id: int,
    rounds: str,
    study: int,
    number: int,
    seed: int,
    block_hash: bytes,
) -> int:
    """One bit per hospital drawn out of `pool` (bits too); all where there are no more.

    A lot is H("consilium/draw/1", chain id, Rounds' address (20 bytes), study, number, seed, block
    hash, index).
    """
    place = bytes.fromhex(rounds.removeprefix("0x"))
    lots = {
        tagged_hash(TAG, chain_id, place, study, number, seed, block_hash, index): index
        for index in range(pool.bit_length())
        if pool >> index & 1
    }
    return sum(1 << lots[lot] for lot in sorted(lots)[:hospitals])


def drawn_for(
    party: Party, study: Study, number: RoundNumber, pool: int, before: tuple[int, int]
) -> int:
    """Who is drawn for a round that opens after what is `before`: (block, index of a log).

    A round that was aborted gives no other draw: the center can abort at no cost, and would until
    it likes the hospitals. One that ran out does, for its hospitals may be gone.
    """
    if study.spec.sampling is None:
        return pool
    chain, block = party.chain, BlockNumber(before[0])
    earlier = [
        chain.rounds.round(study.number, RoundNumber(place), block_identifier=block)
        for place in range(1, number)
    ]
    place, finalized = history(earlier)
    return draw(
        pool,
        study.spec.sampling.hospitals,
        chain_id=chain.client.chain_id,
        rounds=chain.rounds.address,
        study=study.number,
        number=place,
        seed=study.spec.seed,
        block_hash=chain.client.block_hash(_fixed(party, study, finalized, before)),
    )


def history(earlier: Sequence[Round]) -> tuple[int, RoundNumber]:
    """A draw's number after these rounds, from the first on, and the newest finalized of them (0:
    none). Those aborted last count as one with the round that is drawn for."""
    count = len(earlier)
    while count and earlier[count - 1].aborted:
        count -= 1
    finalized = (place for place in range(count, 0, -1) if earlier[place - 1].finalized)
    return count + 1, RoundNumber(next(finalized, 0))


def _fixed(
    party: Party, study: Study, finalized: RoundNumber, before: tuple[int, int]
) -> BlockNumber:
    """Where this round was finalized or, with none, the last hospital enrolled."""
    chain, block = party.chain, BlockNumber(before[0])
    if finalized:
        return chain.rounds.finalized(study.number, finalized, to_block=block).block
    enrolments = chain.studies.enrolments(study.number, to_block=block)
    blocks = [item.block for item in enrolments if (item.block, item.log_index) < before]
    if not blocks:
        raise StepError(f"study {study.number}: no hospital has enrolled; none can be drawn")
    return BlockNumber(max(blocks))


def standing(party: Party, study: Study, block: BlockNumber) -> int:
    """One bit per hospital that is enrolled and was never voided, at the end of a block."""
    enrolled = party.chain.studies.enrolled(study.number, block_identifier=block)
    return enrolled & ~party.chain.rounds.barred(study.number, block_identifier=block)


def expected(party: Party, study: Study, opened: RoundOpened) -> int:
    """Whom a round that was opened had to be for.

    Raises `StepError` where it was not drawn from the hospitals that stood then, or was drawn in a
    study that draws none.
    """
    number, block = opened.round, BlockNumber(opened.block)
    event = party.chain.rounds.drawn(study.number, number, to_block=block)
    if (event is None) != (study.spec.sampling is None):
        raise StepError(
            f"study {study.number}: round {number}: hospitals "
            + ("were not drawn, as the spec asks" if event is None else "were drawn")
        )
    pool = opened.enrolled if event is None else event.pool
    around = [standing(party, study, BlockNumber(at)) for at in (block - 1, block)]
    if pool & ~(around[0] | around[1]) or around[0] & around[1] & ~pool:
        raise StepError(
            f"study {study.number}: round {number}: is not for the hospitals that stood when it "
            "opened"
        )
    return drawn_for(party, study, number, pool, (block, opened.log_index))


def require_drawn(party: Party, study: Study, opened: RoundOpened) -> None:
    """Raise `StepError` where a round is not for the hospitals that the rule gives.

    A center that chooses the others of a round could surround one hospital with its own.
    """
    if opened.enrolled != expected(party, study, opened):
        raise StepError(
            f"study {study.number}: round {opened.round}: the center opened it for other hospitals "
            "than the draw gives: take no part in it, and tell the auditors"
        )
