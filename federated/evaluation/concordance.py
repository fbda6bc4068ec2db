"""Harrell's C: how often, of two people, the one at the higher risk has the event first.

Harrell, Califf, Pryor, Lee and Rosati (1982); ties as Harrell, Lee and Mark (1996) treat them. It
is the AUC of survival: 0.5 is guessing.
"""

from __future__ import annotations

import numpy as np

from federated.evaluation.bootstrap import percentile_interval
from federated.metrics import Estimate, wilson
from federated.schema import Array

_CELLS = 1 << 20


def concordance(times: Array, events: Array, risks: Array) -> float | None:
    """Share of usable pairs in which the higher risk goes with the earlier event.

    `events` are 1 where the event was seen at the time and 0 where the person was last seen without
    it. A pair is usable where one person's event is known to come first: the other's time is later,
    or the same and censored. Two events at one time tell no order and are left out. Equal risks
    count half. None without a usable pair. O(n · events) comparisons in at most 2^20 cells of
    memory: 10⁵ people take tens of seconds, 10³ a few milliseconds.  # (n,), (n,), (n,)
    """
    seen = np.flatnonzero(events == 1)
    usable, halves = 0, 0
    step = max(1, _CELLS // max(1, len(times)))
    for at in range(0, len(seen), step):
        own = seen[at : at + step][:, None]  # (k, 1) against (n,)
        later = (times > times[own]) | ((times == times[own]) & (events != 1))
        usable += int(later.sum())
        halves += 2 * int((later & (risks < risks[own])).sum())
        halves += int((later & (risks == risks[own])).sum())
    return halves / (2 * usable) if usable else None


def concordance_interval(
    times: Array,
    events: Array,
    risks: Array,
    *,
    seed: int,
    name: str,
    people: Array | None = None,
) -> Estimate | None:
    """Harrell's C with a bootstrap interval, people drawn inside those with an event and those not.

    At 0 and 1 no draw differs and the bound is Wilson's for as many trials as there are events.
    None where it has no value or no interval.  # (n,), (n,), (n,)
    """
    value = concordance(times, events, risks)
    if value is None:
        return None
    if value in (0.0, 1.0):
        trials = int(np.count_nonzero(events == 1))
        return wilson(round(value) * trials, trials)

    def drawn(rows: Array) -> float | None:
        return concordance(times[rows], events[rows], risks[rows])

    return percentile_interval(value, drawn, events, seed=seed, name=name, people=people)
