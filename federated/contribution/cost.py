"""What measuring contributions costs: models to seal, and passes over validation records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.contribution.measure import Measure, measured
from federated.models import parameter_schema
from federated.tensors import encoded_size

if TYPE_CHECKING:
    from federated.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Cost:
    """At most, with all hospitals in every round.

    `models` and `size` (bytes) are sealed in a round, of which a hospital judges `judged`. `passes`
    are those of all hospitals and rounds, each over one hospital's validation records.
    """

    models: int
    size: int
    judged: int
    passes: int

    def __str__(self) -> str:
        size = f"{self.size / 1e6:.1f} MB" if self.size >= 1e5 else f"{self.size:,} bytes"
        return (
            f"a round seals up to {self.models} models ({size}), of which a hospital judges up to "
            f"{self.judged} on its validation records; in all rounds and hospitals up to "
            f"{self.passes:,} passes over such records"
        )


def cost_of(spec: StudySpec) -> Cost | None:
    """That of a spec's reward rule; None where it measures no contribution."""
    if not measured(spec.reward.rule):
        return None
    hospitals = spec.max_hospitals
    models, judged = Measure.of(spec).models(hospitals)
    size = models * encoded_size(parameter_schema(spec))
    return Cost(models, size, judged, judged * hospitals * spec.rounds)
