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
_ROW = 1285  # elements; much longer ones would be summed on several cores
SEGMENT = 204 * _ROW  # what is worked on at once: as much as a payload's segment holds


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
        vector = schema.flatten(update).astype(np.float64, copy=False)
        peak = float(max(vector.max(initial=0.0), -vector.min(initial=0.0)))
        if not math.isfinite(peak):  # a NaN anywhere is both their least and their greatest
            raise _diverged(update, schema)
        scale, scaled = math.ldexp(1.0, self.bits), np.empty_like(vector)
        if peak > 0:
            np.divide(vector, peak, out=scaled)  # squares stay in range
            norm = peak * math.sqrt(float(np.square(scaled, out=scaled).sum()))
            scale = min(scale, self.bound / norm)
        steps = np.empty(len(vector), DTYPES[self.dtype])
        while _scale_into(steps, vector, scale, scaled) > self.bound**2:
            scale *= 1 - 2.0**-20
        return schema.unflatten(steps)

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


def _scale_into(steps: Array, vector: Array, scale: float, scaled: Array) -> int:
    """Whole parts of `vector` times `scale`, a segment at a time, and their exact squared norm."""
    norm = 0
    for start in range(0, len(vector), SEGMENT):
        part = slice(start, start + SEGMENT)
        whole = np.multiply(vector[part], scale, out=scaled[: len(steps[part])])
        steps[part] = np.trunc(whole, out=whole)
        norm += squared_norm(whole)
    return norm


def _diverged(update: Parameters, schema: Schema) -> TensorValueError:
    names = (tensor.name for tensor in schema.tensors)
    wrong = next(name for name in names if not np.isfinite(update[name]).all())
    return TensorValueError(wrong, "training diverged (NaN or infinite); lower the learning rate")


def squared_norm(vector: Array) -> int:
    """Exact Σv² of whole numbers, int32, int64 or float64; nothing overflows up to 2³¹ elements."""
    return norm_and_peak(vector)[0]


def norm_and_peak(vector: Array, buffer: Array | None = None) -> tuple[int, int]:
    """Exact Σv² of whole numbers, int32, int64 or float64, and a bound on every |v|.

    Who asks often passes a `buffer` of SEGMENT float64: a new one costs as much as what it is for.

    Squares are not negative, so a row's float64 sum below 2⁵³ was exact at each step, in any order.
    No |v| is above the root of its row's.
    """
    total, most = 0, 0
    if buffer is None:
        buffer = np.empty(min(len(vector), SEGMENT))
    for at in range(0, len(vector), SEGMENT):
        part = vector[at : at + SEGMENT]
        close = buffer[: len(part)]
        np.copyto(close, part)
        squares = _by_rows(close)
        if (top := float(squares.max())) >= _EXACT:
            total += _in_integers(part)
            most = max(most, -int(part.min()), int(part.max()))
            continue
        quick = float(squares.sum())
        total += int(quick) if quick < _EXACT else sum(map(int, squares.tolist()))
        most = max(most, math.isqrt(int(top)))
    return total, most


def _by_rows(values: Array) -> Array:
    whole = len(values) // _ROW * _ROW
    rows, rest = values[:whole].reshape(-1, _ROW), values[whole:]
    squares = np.vecdot(rows, rows)
    return np.append(squares, np.vecdot(rest, rest)) if len(rest) else squares


def _in_integers(vector: Array) -> int:
    """|v| = a·2³² + b gives v² = a²·2⁶⁴ + 2ab·2³² + b², each product below 2⁶⁴."""
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
