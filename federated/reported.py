"""Results that hospitals announced for a model: each signed by the hospital that it is of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chain.types import BlockNumber, RoundNumber
from federated.errors import FederatedError
from federated.party import Party, signers_between
from federated.published import context_of_state
from federated.results import Results, read_results, results_topic
from federated.study import Study
from federated.task_results import TaskResults, read_task_results
from storage.cid import Cid
from storage.errors import StorageError, Unreachable
from storage.signing import Signer
from storage.store import BlockStore

_Told = TypeVar("_Told", Results, TaskResults)


def results_of(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> list[Results]:
    """Genuine results for the model that a round ended with, by split and hospital index.

    Anyone can announce anything: what is not signed by its hospital for this very model is passed
    over. A key counts that was the hospital's at the round's finalize or at any block since, so
    that exchanging it leaves old results standing; of several results of one hospital and split
    those under its newest key are kept.
    """
    return _genuine(party, study, number, block, read_results)


def figures_of(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> list[TaskResults]:
    """The same for a study whose task has figures: results of another task are passed over."""
    found = _genuine(party, study, number, block, read_task_results)
    return [item for item in found if item.task == study.spec.task]


def _genuine(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    read: Callable[[BlockStore, Cid], tuple[_Told, Signer]],
) -> list[_Told]:
    round_ = party.chain.rounds.round(study.number, number, block_identifier=block)
    if not round_.finalized:
        return []
    context = context_of_state(party, study, number, round_.start_state, round_.state)
    since = party.chain.rounds.finalized(study.number, number, to_block=block).block
    signers = {
        index: signers_between(party.chain, hospital, since, block)
        for index, hospital in enumerate(study.hospitals)
    }
    found: dict[tuple[str, int], tuple[int, _Told]] = {}
    for cid in party.store.announced(results_topic(round_.state)):
        try:
            results, signer = read(party.store, cid)
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue  # anyone can announce anything: what are no results hide none
        keys = signers.get(results.hospital, [])
        if signer not in keys or (results.context, results.state) != (context, round_.state):
            continue
        age, place = keys.index(signer), (results.split, results.hospital)
        if place not in found or age < found[place][0]:
            found[place] = (age, results)
    return [found[key][1] for key in sorted(found)]
