"""Measured contributions as columns of a table, with how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federated.contribution import Confidence, Measure, confidences, measured
from federated.party import Party
from federated.rewards import walks
from federated.signed_report import listed_reports
from federated.study import Study


@dataclass(frozen=True, slots=True)
class Contributions:
    """By hospital index; None where the study's rule measures none, and then without columns."""

    found: Mapping[int, Confidence] | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        if self.found is None:
            return ()
        return "contribution, nats", "95 % interval", "error of drawn orders"

    def row(self, index: int) -> tuple[str, ...]:
        """A hospital's cells; 0 for whom nobody judged."""
        if self.found is None:
            return ()
        own = self.found.get(index)
        if own is None:
            return "0", "", ""
        span = "" if own.low is None else f"{own.low:+.2f} to {own.high:+.2f}"
        return f"{own.value:+.2f}", span, f"{own.orders_se:.2f}" if own.orders_se else ""


def contributions(party: Party, study: Study) -> Contributions:
    """From the reports that the study's manifests list. Raises what the store raises."""
    if not measured(study.spec.reward.rule):
        return Contributions(None)
    reports = listed_reports(party, study, party.head())
    return Contributions(confidences(walks(Measure.of(study.spec), reports)))
