"""What speaks for and against: one part an input, against a reference.

The parts sum to the case's log odds less the reference's. A linear model's are exact: coefficient
times distance from the reference. Any other model's are integrated gradients along the straight
line from the reference (Sundararajan, Taly, Yan 2017, "Axiomatic Attribution for Deep Networks"),
whose axiom of completeness is checked, not assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federated.bedside.reading import Reader
from federated.errors import ExplanationError
from federated.schema import Array

TOLERANCE = 0.005
"""How far the parts' sum may be from the difference in log odds, as a share of it or absolutely."""

_FIRST, _MOST = 64, 8192


@dataclass(frozen=True, slots=True)
class Explanation:
    """`parts` (width,) in log odds; `gap` is their sum less what they explain, `steps` 0 if exact.

    `log_odds` is the case's, `reference` that of the reference.
    """

    parts: Array
    log_odds: float
    reference: float
    gap: float
    steps: int


def explain(reader: Reader, case: Array, reference: Array) -> Explanation:
    """Parts of one case (width,) against a reference (width,). Raises `ExplanationError`."""
    case, reference = case.astype(np.float64), reference.astype(np.float64)
    start, end = reader.log_odds(np.stack([reference, case])).tolist()
    if reader.linear:
        weights = reader.tensors["out.weight"].numpy().reshape(-1)  # (width,)
        parts = weights * (case - reference)
        return Explanation(parts, end, start, _gap(parts, end - start), 0)
    return integrated_gradients(reader, case, reference, start, end)


def integrated_gradients(
    reader: Reader, case: Array, reference: Array, start: float, end: float
) -> Explanation:
    """By the midpoint rule; steps double until the parts sum to `end` − `start`.

    Raises `ExplanationError` where they never do.
    """
    steps = _FIRST
    while steps <= _MOST:
        places = (np.arange(steps) + 0.5) / steps  # (steps,)
        line = reference + places[:, None] * (case - reference)  # (steps, width)
        parts = (case - reference) * reader.gradients(line).mean(axis=0)
        gap = _gap(parts, end - start)
        if abs(gap) <= TOLERANCE * max(1.0, abs(end - start)):
            return Explanation(parts, end, start, gap, steps)
        steps *= 2
    raise ExplanationError(
        f"the parts of this case do not sum to what they explain within {TOLERANCE} after {_MOST} "
        "steps: the model has a jump between the reference and the case; use no explanation"
    )


def _gap(parts: Array, whole: float) -> float:
    return math.fsum(parts.tolist()) - whole
