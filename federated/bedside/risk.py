"""What a relative risk went with among validation patients."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from federated.bedside.calibrate import Band, band_of_events
from federated.results import LEAST_COUNT
from federated.schema import Array


class Third(StrEnum):
    """Where a risk lies among those of validation patients."""

    LOWEST = "lowest"
    MIDDLE = "middle"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class OfThird:
    """The third that a case lies in, and those of it who were seen to have the event.

    Who was not may have it later: the share is of what was seen, not of what comes.
    """

    third: Third
    band: Band


def third_of(risk: float, risks: Array, labels: Array) -> OfThird | None:
    """Validation patients of the case's third; None for too few to have thirds of five or more.

    # (n,), (n, 2) of time and event
    """
    if len(risks) < 3 * LEAST_COUNT:
        return None
    low, high = np.quantile(risks, [1 / 3, 2 / 3]).tolist()
    place = 0 if risk <= low else (1 if risk <= high else 2)
    members = (risks <= low, (risks > low) & (risks <= high), risks > high)[place]
    return OfThird(list(Third)[place], band_of_events(labels[members, 1]))
