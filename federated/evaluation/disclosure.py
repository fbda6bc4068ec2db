"""What figures may leave the hospitals: none of fewer than five people of a label.

Two ways in which a total tells about a hospital that is left out of it are closed here: where all
other hospitals' counts stand beside the pool's, a difference gives the missing hospital's; and an
AUC of full precision is a fraction whose denominator gives the pool's counts. So the pool of a
study with withheld hospitals has no counts, and its figures are rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from federated.metrics import Estimate, Scores
from federated.results import LEAST_COUNT
from federated.schema import Array

DECIMALS = 3
ROC_DECIMALS = 2


def enough(labels: Array) -> bool:
    """Whether figures of records with these labels of 0 and 1 may be shown."""
    positives = int(np.count_nonzero(labels == 1))
    return min(positives, len(labels) - positives) >= LEAST_COUNT


def pool_tells(labels: Mapping[str, Array]) -> bool:
    """Whether the pool less the hospitals shown leaves too few people of a label.

    `labels` are those of every hospital by name.
    """
    hidden = [found for found in labels.values() if not enough(found)]
    return bool(hidden) and not enough(np.concatenate(hidden))


def blurred(figure: Estimate | None) -> Estimate | None:
    """An estimate to three decimals."""
    if figure is None:
        return None
    return Estimate(*(round(x, DECIMALS) for x in (figure.value, figure.low, figure.high)))


def only_area(scores: Scores) -> Scores:
    """The AUC to three decimals; accuracy, sensitivity and specificity would give counts."""
    nothing = dict.fromkeys(("accuracy", "sensitivity", "specificity"))
    return replace(scores, auc=blurred(scores.auc), **nothing)


NOTHING = Scores(None, None, None, None)
