"""Records as a model reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.inputs import scale
from federated.schema import Array
from federated.spec import StudySpec
from records.cohort import Member


def arrays(members: Sequence[Member], spec: StudySpec) -> tuple[Array, Array]:
    """Inputs (n, width) float32 and labels (n,), in the order of the records' local keys."""
    inputs = scale([member.record.values for member in members], spec)
    labels = np.array([float(member.record.positive) for member in members], dtype=np.float32)
    return inputs, labels
