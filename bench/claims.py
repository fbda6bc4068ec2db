"""What a bench finds: claims that are held to a limit, and the tables that they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias


@dataclass(frozen=True)
class Claim:
    """`value` is compared with `limit` by `sense`; a quick run never judges (`ok` is None), and
    what is only reported has no limit."""

    id: str
    ours: float
    peer: float
    unit: str
    value: float
    sense: str
    limit: float | None
    ok: bool | None


@dataclass(frozen=True)
class Rows:
    """A table beside the claims: what they come from, and what they stand among."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


Item: TypeAlias = Claim | Rows
Bench = Callable[[bool], Iterable[Item]]
"""Measures, quickly or in full."""


def judged(
    name: str,
    ours: float,
    peer: float,
    unit: str,
    value: float,
    sense: str,
    limit: float,
    *,
    judge: bool,
) -> Claim:
    """A claim whose value is held to its limit where it is judged."""
    holds = value <= limit if sense == "<=" else value >= limit
    return Claim(name, ours, peer, unit, value, sense, limit, holds if judge else None)


def reported(name: str, ours: float, peer: float, unit: str, value: float) -> Claim:
    """A figure that nobody is held to; less is better."""
    return Claim(name, ours, peer, unit, value, "<=", None, None)


def ratio(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    limit: float,
    runs: int,
    judge: bool,
) -> Claim:
    """Seconds of both in turn, `runs` times; the value is the median of the pairs' ratios."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(runs)]
    value = median(a / b for a, b in pairs)
    own, other = (median(pair[side] for pair in pairs) for side in (0, 1))
    return judged(name, own, other, "s", value, "<=", limit, judge=judge)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
