"""Results that hospitals announced for a model: each signed by the hospital that it is of."""

from __future__ import annotations

from chain.types import BlockNumber, RoundNumber
from federated.errors import FederatedError
from federated.party import Party, signer_at
from federated.published import context_of_state
from federated.results import Results, read_results, results_topic
from federated.study import Study
from storage.errors import StorageError, Unreachable


def results_of(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> list[Results]:
    """Genuine results for the model that a round ended with, by split and hospital index.

    Anyone can announce anything: what is not signed by its hospital for this very model is passed
    over. One of each hospital and split is kept.
    """
    round_ = party.chain.rounds.round(study.number, number, block_identifier=block)
    context = context_of_state(party, study, number, round_.start_state, round_.state)
    found: dict[tuple[str, int], Results] = {}
    for cid in party.store.announced(results_topic(round_.state)):
        try:
            results, signer = read_results(party.store, cid)
            genuine = (
                results.hospital < len(study.hospitals)
                and signer == signer_at(party.chain, study.hospitals[results.hospital], block)
                and (results.context, results.state) == (context, round_.state)
            )
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue
        if genuine:
            found.setdefault((results.split, results.hospital), results)
    return [found[key] for key in sorted(found)]
