"""Where a model comes from: chain, study, round, hospitals, and what auditors said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chain.attestations import Attested
from chain.round_types import Round
from chain.types import Address, BlockNumber, RoundNumber
from federated.chosen import line_of_round
from federated.errors import StepError
from federated.party import Party
from federated.search import ends
from federated.study import Study
from storage.cid import dag_cbor_cid


@dataclass(frozen=True, slots=True)
class Provenance:
    """A finalized round's model as the chain tells of it at one block.

    `included` are the hospitals whose updates it aggregates. `voided` are the rounds among it and
    its ancestors with an update proven false afterwards: the model is contaminated where there is
    one. `attestations` are the newest of each auditor on the round or on the study (round 0).
    """

    chain_id: int
    rounds: Address
    study: int
    round_number: int
    of_rounds: int
    state: bytes
    manifest: str
    spec: bytes
    included: tuple[Address, ...]
    voided: tuple[int, ...]
    attestations: tuple[Attested, ...]


def standing_round(party: Party, study: Study, block: BlockNumber) -> RoundNumber:
    """The round whose model a hospital uses: the newest finalized one.

    Where the spec says "go-back", the newest that descends from no voided update. Raises
    `StepError` where there is none.
    """
    known = _rounds(party, study, block)
    if not any(round_.finalized for round_ in known.values()):
        raise StepError(f"study {study.number} has no finalized round yet: there is no model")
    found = _newest(study, known, _standing_line(party, study, len(known), block))
    if not found:
        raise StepError(
            f"study {study.number}: every model descends from an update that was proven false; "
            "none is to be used"
        )
    return found


def parent_round(party: Party, study: Study, block: BlockNumber) -> RoundNumber:
    """The round that the next one starts from: `standing_round`, or 0 where there is none.

    In a study's search, the newest of the candidate's own.
    """
    known = _rounds(party, study, block)
    return _newest(study, known, line_of_round(party, study, RoundNumber(len(known) + 1), block))


def provenance_of(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> Provenance:
    """What the chain says of a finalized round's model. Raises `StepError` for another round."""
    known = _rounds(party, study, block)
    if number not in known or not known[number].finalized:
        raise StepError(f"study {study.number}: round {number} is not finalized")
    round_ = known[number]
    said = {
        (item.auditor, item.round): item
        for item in party.chain.attestations.attested(study.number, to_block=block)
        if item.round in (0, number)
    }
    return Provenance(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=number,
        of_rounds=study.terms.max_rounds,
        state=round_.state,
        manifest=str(dag_cbor_cid(round_.manifest)),
        spec=study.spec_digest,
        included=tuple(h for i, h in enumerate(study.hospitals) if round_.included >> i & 1),
        voided=_voided(known, number),
        attestations=tuple(said.values()),
    )


def _rounds(party: Party, study: Study, block: BlockNumber) -> dict[int, Round]:
    rounds = party.chain.rounds
    count = rounds.count(study.number, block_identifier=block)
    return {
        place: rounds.round(study.number, RoundNumber(place), block_identifier=block)
        for place in range(1, count + 1)
    }


def _standing_line(party: Party, study: Study, count: int, block: BlockNumber) -> tuple[int, ...]:
    """Rounds whose model may stand; while a search goes on, any."""
    if count < ends(study.spec):
        return tuple(range(1, count + 1))
    return line_of_round(party, study, RoundNumber(count + 1), block)


def _newest(study: Study, known: dict[int, Round], line: Iterable[int]) -> RoundNumber:
    back = study.spec.after_void == "go-back"
    found = (
        place for place in line if known[place].finalized and not (back and _voided(known, place))
    )
    return RoundNumber(max(found, default=0))


def _voided(known: dict[int, Round], number: int) -> tuple[int, ...]:
    """Rounds from the first to this one, along parents, that are contaminated themselves."""
    found = []
    while number:
        if known[number].contaminated:
            found.append(number)
        number = known[number].parent
    return tuple(reversed(found))
