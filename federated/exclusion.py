"""Why a submission is left out of the aggregate: by rule only, so that an auditor agrees."""

from __future__ import annotations

from enum import StrEnum

from federated.errors import TensorSchemaError, TensorShapeError
from federated.grid import Grid
from federated.models import update_schema
from federated.spec import StudySpec
from federated.tensors import decode_vector


class ExclusionCode(StrEnum):
    """Codes that a round manifest may give. `judge` finds the first four in an update's bytes.

    `LIST_MISSING`: the list of leaves was in no member's store by `submitBy`.
    `UNDECRYPTABLE`: by a named auditor's word it does not open, or nobody has it; or what opened is
    no payload of the manifest's.
    """

    SCHEMA = "schema"
    SHAPE = "shape"
    NON_FINITE = "non-finite"
    OVER_CLIP = "over-clip"
    LIST_MISSING = "list-missing"
    UNDECRYPTABLE = "undecryptable"


def judge(data: bytes, spec: StudySpec) -> ExclusionCode | None:
    """The code that excludes an open-mode update with these plaintext bytes, or None.

    Updates are integers, so "non-finite" means a coordinate outside of ±B. Rules apply in the
    order of the enum; the first that fails is the code.
    """
    grid = Grid.of(spec.grid)
    try:
        vector = decode_vector(data, update_schema(spec))
    except TensorSchemaError:
        return ExclusionCode.SCHEMA
    except TensorShapeError:
        return ExclusionCode.SHAPE
    if not grid.in_range(vector):
        return ExclusionCode.NON_FINITE
    return None if grid.in_clip(vector) else ExclusionCode.OVER_CLIP
