"""Updates as integers: clip to an L2 bound, round to a grid of step 2^-bits, check exactly.

The check is integer arithmetic and gives one answer on every machine; clipping before it is the
hospital's own floating point and need not replay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federated.errors import TensorShapeError, TensorValueError
from federated.schema import DTYPES, Array, Parameters, Schema
from federated.spec import GridTerms

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_EXACT = 1 << 53


@dataclass(frozen=True, slots=True)
class Grid:
    """Step 2^-bits and the bound B on an update's norm, in steps."""

    bits: int
    bound: int

    @classmethod
    def of(cls, terms: GridTerms) -> Grid:
        """B = floor(clip_norm · 2^bits), exactly: scaling by a power of two rounds nothing."""
        return cls(terms.grid_bits, math.floor(math.ldexp(terms.clip_norm, terms.grid_bits)))

    @property
    def dtype(self) -> str:
        """Element type of an update: no coordinate exceeds the norm, so B decides."""
        return "I32" if self.bound < 1 << 31 else "I64"

    def quantise(self, update: Parameters, schema: Schema) -> dict[str, Array]:
        """The update clipped and on the grid: integers whose exact norm is at most B.

        `update` is float32 or float64 with the schema's shapes. Truncation toward zero can only
        shrink the norm; where rounding of the scale still leaves it above B, a smaller scale is
        taken until the integers pass.
        """
        for tensor in schema.tensors:
            if update[tensor.name].shape != tensor.shape:
                raise TensorShapeError(tensor.name, f"the shape is not {list(tensor.shape)}")
            if not np.isfinite(update[tensor.name]).all():
                raise TensorValueError(
                    tensor.name, "training diverged (NaN or infinite); lower the learning rate"
                )
        vector = schema.flatten(update).astype(np.float64)
        peak = float(np.abs(vector).max(initial=0.0))
        scale = math.ldexp(1.0, self.bits)
        if peak > 0:
            norm = peak * math.sqrt(float(np.square(vector / peak).sum()))  # squares stay in range
            scale = min(scale, self.bound / norm)
        while True:
            steps = np.trunc(vector * scale).astype(np.int64)
            if squared_norm(steps) <= self.bound**2:
                return schema.unflatten(steps.astype(DTYPES[self.dtype]))
            scale *= 1 - 2.0**-20

    def dequantise(self, steps: Parameters) -> dict[str, Array]:
        """Grid steps as float64."""
        step = math.ldexp(1.0, -self.bits)
        return {name: array.astype(np.float64) * step for name, array in steps.items()}

    def in_range(self, vector: Array) -> bool:
        """Whether no coordinate exceeds B in magnitude."""
        inside = not len(vector) or (-self.bound <= vector.min() and vector.max() <= self.bound)
        return bool(inside)

    def in_clip(self, vector: Array) -> bool:
        """Whether the exact norm is at most B."""
        return squared_norm(vector) <= self.bound**2


def squared_norm(vector: Array) -> int:
    """Exact Σv² of int32 or int64 values; nothing overflows up to 2³¹ elements.

    Squares are not negative, so a float64 sum below 2⁵³ was exact at each step, in any order. Else
    |v| = a·2³² + b gives v² = a²·2⁶⁴ + 2ab·2³² + b², each product below 2⁶⁴.
    """
    close = vector.astype(np.float64)
    quick = float(np.einsum("i,i->", close, close))
    if quick < _EXACT:
        return int(quick)
    wide = vector.astype(np.int64)
    magnitude = np.where(wide < 0, ~wide.view(np.uint64) + np.uint64(1), wide.view(np.uint64))
    high, low = magnitude >> _HALF, magnitude & _LOW
    total = _sum_products(low, low)
    if high.any():
        total += (_sum_products(high, low) << 33) + (_sum_products(high, high) << 64)
    return total


def _sum_products(left: Array, right: Array) -> int:
    products = left * right  # both below 2³², so below 2⁶⁴
    return (int((products >> _HALF).sum()) << 32) + int((products & _LOW).sum())
