"""Where a patient's data were used: in which rounds, by which hospital, into which models.

Found in the published lists of leaves, each verified against the root on-chain: neither the
hospital nor the center is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from chain.contracts import Contracts
from chain.merkle import hash_cohort_leaf, verify
from chain.round_events import Frozen
from chain.round_types import Round
from chain.types import Address, BlockNumber, ConsentId, RoundNumber, StudyId
from federated.judging import leaves_of
from federated.leaf_list import chain_leaf, proof_of, tree_of
from storage.store import BlockStore


@dataclass(frozen=True, slots=True)
class Use:
    """One consent in one frozen cohort.

    `trained`: an update of this cohort was submitted; `model`: the digest of the state that the
    round ended with, if the update is in it.
    """

    study: StudyId
    round_number: RoundNumber
    hospital: Address
    consent: ConsentId
    index: int
    trained: bool
    voided: bool
    model: bytes | None

    def to_json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "study": self.study,
            "round": self.round_number,
            "hospital": self.hospital,
            "consent": self.consent.hex(),
            "leaf": self.index,
            "trained": self.trained,
            "voided": self.voided,
            "model": self.model.hex() if self.model else None,
        }


@dataclass(frozen=True, slots=True)
class Unknown:
    """A cohort of which nobody has a list that gives the frozen root."""

    study: StudyId
    round_number: RoundNumber
    hospital: Address


@dataclass(frozen=True, slots=True)
class Usage:
    """All uses in a study, and the cohorts for which nothing can be said."""

    uses: tuple[Use, ...]
    unknown: tuple[Unknown, ...]


def usage_of(
    chain: Contracts,
    store: BlockStore,
    study: StudyId,
    consents: Collection[ConsentId],
    block: BlockNumber,
) -> Usage:
    """Every use of these consents in a study up to a block. Raises what node and store raise."""
    uses: list[Use] = []
    unknown: list[Unknown] = []
    for number in range(1, chain.rounds.count(study, block_identifier=block) + 1):
        place = RoundNumber(number)
        round_ = chain.rounds.round(study, place, block_identifier=block)
        for event in chain.rounds.freezes(study, place, to_block=block):
            found = _in_cohort(store, event, round_, frozenset(consents))
            if found is None:
                unknown.append(Unknown(study, place, event.hospital))
            else:
                uses += found
    return Usage(tuple(uses), tuple(unknown))


def _in_cohort(
    store: BlockStore, event: Frozen, round_: Round, consents: frozenset[ConsentId]
) -> list[Use] | None:
    freeze = event.freeze
    leaves = leaves_of(store, event)
    if leaves is None or len(leaves) != freeze.n:
        return None
    tree = tree_of(leaves)
    found = []
    for leaf in leaves:
        consent = ConsentId(leaf.consent)
        if consent not in consents:
            continue
        if not verify(freeze.root, hash_cohort_leaf(chain_leaf(leaf)), proof_of(tree, leaf)):
            return None
        included = round_.finalized and round_.included >> freeze.hospital & 1
        found.append(
            Use(
                study=freeze.study,
                round_number=freeze.round,
                hospital=event.hospital,
                consent=consent,
                index=leaf.index,
                trained=bool(round_.submitted >> freeze.hospital & 1),
                voided=bool(round_.voided >> freeze.hospital & 1),
                model=round_.state if included else None,
            )
        )
    return found if tree.root == freeze.root else None
