"""What a search costs: its rounds are rounds like any other, each paid in gas and in time."""

from __future__ import annotations

from dataclasses import dataclass

from federated.search import ends
from federated.spec import StudySpec

GAS_CENTER = 460_000
"""Open and finalize of a round, with a little to spare; measured on anvil with three hospitals."""
GAS_HOSPITAL = 175_000
"""Freeze and submit of one hospital, with a little to spare; measured there."""


@dataclass(frozen=True, slots=True)
class SearchCost:
    """At most, with all hospitals in every round; `longest_s` when no phase ends early."""

    candidates: int
    rounds: int
    of_rounds: int
    transactions: int
    gas: int
    longest_s: int

    def __str__(self) -> str:
        return (
            f"tries {self.candidates} candidates in {self.rounds} of the study's {self.of_rounds} "
            f"rounds: up to {self.transactions} transactions, {self.gas / 1e6:.1f} million gas and "
            f"{self.longest_s / 3600:.1f} h, less where phases end early; every hospital judges "
            f"{self.candidates} models on its validation patients"
        )


def search_cost(spec: StudySpec) -> SearchCost | None:
    """That of a spec's search; None without one."""
    if spec.search is None:
        return None
    rounds, hospitals, phases = ends(spec), spec.max_hospitals, spec.phases
    return SearchCost(
        candidates=len(spec.search.candidates),
        rounds=rounds,
        of_rounds=spec.rounds,
        transactions=rounds * (2 + 2 * hospitals),
        gas=rounds * (GAS_CENTER + GAS_HOSPITAL * hospitals),
        longest_s=rounds * (phases.freeze_s + phases.submit_s + phases.finalize_s),
    )
