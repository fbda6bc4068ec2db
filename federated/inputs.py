"""What a model reads: values on the study's public scale.

Each value is centred on the middle of its plausible range and divided by a quarter of the range's
width, so that a range read as mean ± 2 SD gives unit variance. The scale is part of the spec: no
hospital has to share a mean or a standard deviation, and a global model can be used on one patient
without anybody's statistics. z-scores per hospital would make a model's meaning depend on where it
runs and hide a shift between hospitals from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from federated.errors import TrainingError
from federated.schema import Array
from federated.spec import StudySpec


def scale(values: Sequence[Sequence[float]] | Array, spec: StudySpec) -> Array:
    """Values in the features' order and units, to float32 inputs.  # (n, width)

    A feature with a shape takes as many columns as it has elements. Raises `TrainingError` for
    another width or for values that are not finite, without showing one.
    """
    features = spec.data.features
    sizes = [math.prod(feature.shape) for feature in features]
    low = np.repeat([feature.minimum for feature in features], sizes)
    high = np.repeat([feature.maximum for feature in features], sizes)
    matrix = np.asarray(values, dtype=np.float64).reshape(
        len(values), -1 if len(values) else len(low)
    )
    if matrix.shape[1] != len(low):
        raise TrainingError(
            f"{matrix.shape[1]} values a patient, but the study has {len(low)}; map the columns"
        )
    if not np.isfinite(matrix).all():
        raise TrainingError("a value is missing or not finite; import the records again")
    scaled = (matrix - (low + high) / 2) / ((high - low) / 4)
    inputs: Array = scaled.astype(np.float32)
    return inputs
