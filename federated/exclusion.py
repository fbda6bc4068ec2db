"""Why a submission is left out of the aggregate: by rule only, so that an auditor agrees."""

from __future__ import annotations

from enum import StrEnum

from federated.errors import TensorSchemaError, TensorShapeError
from federated.grid import Grid, squared_norm
from federated.models import update_schema
from federated.schema import Schema
from federated.spec import StudySpec
from federated.stored import Stored


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
    """As `judge_stored`, of bytes in memory."""
    return judge_stored(Stored.of(data), spec)


def judge_stored(update: Stored, spec: StudySpec) -> ExclusionCode | None:
    """The code that excludes an open-mode update with this plaintext, or None.

    Updates are integers, so "non-finite" means a coordinate outside of ±B. Rules apply in the
    order of the enum; the first that fails is the code. Memory is one segment.
    """
    grid, schema = Grid.of(spec.grid), update_schema(spec)
    try:
        update.check(schema)
    except TensorSchemaError:
        return ExclusionCode.SCHEMA
    except TensorShapeError:
        return ExclusionCode.SHAPE
    if (norm := _squared_norm(update, schema, grid)) is None:
        return ExclusionCode.NON_FINITE
    return None if norm <= grid.bound**2 else ExclusionCode.OVER_CLIP


def _squared_norm(update: Stored, schema: Schema, grid: Grid) -> int | None:
    """Exactly; None where a coordinate is outside of ±B."""
    total, outside = 0, False
    for segment in update.segments(schema):
        outside |= not grid.in_range(segment)
        total += squared_norm(segment)
    return None if outside else total
