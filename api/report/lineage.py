"""Where a study's final model comes from, read from the chain and the signed manifests."""

from __future__ import annotations

from collections.abc import Sequence

from api.report.data import Provenance, RoundFacts, Update
from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.outcome import outcomes
from federated.party import Party
from federated.study import Study


def read_provenance(
    party: Party, study: Study, names: Sequence[str], block: BlockNumber
) -> Provenance:
    """All rounds up to a block; `names` of hospitals by index. Raises as `read_result`."""
    count = party.chain.rounds.count(study.number, block_identifier=block)
    rounds = [_round(party, study, RoundNumber(n), names, block) for n in range(1, count + 1)]
    finalized = [round_ for round_ in rounds if round_.state]
    first = study.terms.state.hex()
    last = finalized[-1] if finalized else None
    return Provenance(
        first_state=first,
        rounds=tuple(rounds),
        final_round=last.number if last else 0,
        final_state=last.state if last else first,
    )


def _round(
    party: Party, study: Study, number: RoundNumber, names: Sequence[str], block: BlockNumber
) -> RoundFacts:
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, number, block_identifier=block)
    frozen = {
        e.freeze.hospital: e.freeze for e in rounds.freezes(study.number, number, to_block=block)
    }
    sent = {e.index: e for e in rounds.submissions(study.number, number, to_block=block)}
    updates = []
    for item in outcomes(party, study, number, block):
        freeze, event = frozen.get(item.hospital), sent.get(item.hospital)
        updates.append(
            Update(
                hospital=names[item.hospital],
                fate=item.fate,
                people=freeze.n if freeze else 0,
                weight=freeze.weight if freeze else 0,
                manifest=event.manifest.hex() if event else "",
                code=item.code,
                included=item.included,
                staleness=item.staleness,
                restored=item.restored,
            )
        )
    return RoundFacts(
        number=number,
        parent=round_.parent,
        phase=_phase(round_),
        contaminated=round_.contaminated,
        start_state=round_.start_state.hex(),
        state=round_.state.hex() if round_.finalized else "",
        manifest=round_.manifest.hex() if round_.finalized else "",
        updates=tuple(updates),
    )


def _phase(round_: Round) -> str:
    words = (
        ("finalized", round_.finalized),
        ("aborted", round_.aborted),
        ("lapsed", round_.lapsed),
    )
    return next((word for word, holds in words if holds), "open")
