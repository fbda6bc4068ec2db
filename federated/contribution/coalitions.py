"""Sets of hospitals as integers: bit i is the hospital with index i.

A model is named by whom it leaves out of its round: 0 is the round's own model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MOST = 256
"""Hospitals of a study, as on the chain."""


def bit(index: int) -> int:
    """The set of one hospital."""
    return 1 << index


def everyone(indices: Iterable[int]) -> int:
    """The set of these hospitals."""
    return sum(1 << index for index in {*indices})


def members(of: int) -> tuple[int, ...]:
    """The indices of a set, ascending."""
    found = []
    while of:
        low = of & -of
        found.append(low.bit_length() - 1)
        of ^= low
    return tuple(found)


def set_of(indices: list[int]) -> int:
    """The set that a record lists: ascending indices in [0, 256). Raises `ValueError`."""
    if type(indices) is list and all(type(x) is int and 0 <= x < MOST for x in indices):
        found = everyone(indices)
        if members(found) == tuple(indices):
            return found
    raise ValueError(f"hospitals left out are a list of ascending indices in [0, {MOST})")


def subsets(of: int) -> Iterator[int]:
    """Every subset, the empty one and the whole among them."""
    part = of
    while True:
        yield part
        if not part:
            return
        part = (part - 1) & of


def order_key(without: int) -> tuple[bool, int, tuple[int, ...]]:
    """In which order models are sealed and reported: the round's own, then few updates before many.

    Whoever reads them one after the other has judged all parts of a model before the model.
    """
    return without != 0, -without.bit_count(), members(without)


def in_order(withouts: Iterable[int]) -> list[int]:
    """Each once, as `order_key` has them."""
    return sorted({*withouts}, key=order_key)
