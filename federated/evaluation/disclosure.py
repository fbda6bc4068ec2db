"""What figures may leave the hospitals: none of fewer than five people of a label.

People are counted, not rows: two records of one patient are one patient. Three ways in which one
table tells about people whom another leaves out are closed here:

- where all other hospitals' counts stand beside the pool's, a difference gives the missing
  hospital's; a withheld hospital knows its own counts and could subtract these too;
- an AUC of full precision is a fraction whose denominator gives the pool's counts. So the pool of a
  study with withheld hospitals has no counts, and its figures are rounded;
- two tables over nearly the same people, as before and after somebody withdrew, give a table of
  those few as their difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import replace
from random import Random
from typing import TypeVar

import numpy as np

from federated.evaluation.paired import Difference
from federated.metrics import Estimate, Scores
from federated.results import LEAST_COUNT
from federated.schema import Array

DECIMALS = 3
ROC_DECIMALS = 2


_Figure = TypeVar("_Figure", bound=Estimate)


def enough(labels: Array, people: Array | None = None, groups: int = 2) -> bool:
    """Whether figures of records with these labels, numbers below `groups`, may be shown.

    `people` tells whose each record is; without it each is one person's. A group that nobody is of
    is too few: that nobody has it would be told of everybody.  # (n,), (n,)
    """
    of = np.arange(len(labels)) if people is None else people
    return all(len(np.unique(of[labels == place])) >= LEAST_COUNT for place in range(groups))


def pool_tells(labels: Mapping[str, Array], groups: int = 2) -> bool:
    """Whether the pool less the hospitals shown leaves too few people of a label.

    For anybody, and for each withheld hospital, which subtracts its own people too. `labels` are
    those of every hospital by name, numbers below `groups`.
    """
    hidden = [found for found in labels.values() if not enough(found, groups=groups)]
    rests = [hidden[:at] + hidden[at + 1 :] for at in range(len(hidden))]
    return any(not rest or not enough(np.concatenate(rest), groups=groups) for rest in rests)


def differ_by_few(people: Set[str], told: Iterable[Set[str]]) -> bool:
    """Whether a table of these people less one told before would be a table of one to four.

    The same people may be told again: then the difference is of models and not of people.
    """
    return any(0 < len(people ^ earlier) < LEAST_COUNT for earlier in told)


def tellable(people: Set[str], told: Collection[frozenset[str]], order: Random) -> frozenset[str]:
    """As many of these people as a table may count beside those told before.

    Where it would differ from one of these by one to four people, either the people of an earlier
    table are counted again, or people drawn by `order` stay out with those who left, until five
    are the difference. The draw must not be foreseen: whoever knows who stays out subtracts them.
    """
    chosen, leaving = set(people), sorted(people)
    order.shuffle(leaving)
    while differ_by_few(chosen, told):
        chosen.discard(leaving.pop())
    again = [earlier for earlier in told if earlier <= people]
    return max([*again, frozenset(chosen)], key=len)


def blurred(figure: _Figure | None) -> _Figure | None:
    """An estimate to three decimals, its p too: exact p values are fractions of the counts."""
    if figure is None:
        return None
    parts = ("value", "low", "high")
    rounded = replace(figure, **{name: round(getattr(figure, name), DECIMALS) for name in parts})
    if isinstance(rounded, Difference) and rounded.p is not None:
        return replace(rounded, p=round(rounded.p, DECIMALS))
    return rounded


def only_area(scores: Scores) -> Scores:
    """The AUC to three decimals; all figures at a threshold would give counts."""
    return replace(NOTHING, auc=blurred(scores.auc))


NOTHING = Scores(None, None, None, None, None)
