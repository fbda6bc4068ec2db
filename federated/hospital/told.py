"""Whose counts have left this hospital: no two tables may give a few people as their difference.

A patient who withdraws between two rounds is in the first round's counts and not in the second's.
Whoever reads both, and knows who withdrew, would have that patient's label and how the model did on
it. So a table counts the same people as an earlier one, or differs from it by five or more: a few
others stay out with who left. What is remembered are local keys alone, and they never leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import SystemRandom

import numpy as np

from federated.evaluation.disclosure import enough, tellable
from federated.hospital.node import HospitalNode
from federated.schema import Array
from records.cohort import Member

_TOLD = "told"
"""The journal's name for it, over all studies."""
_FORGOTTEN = "told-forgotten"


def tellable_members(node: HospitalNode, members: Sequence[Member]) -> list[Member]:
    """Those of these members who may be counted in a table that leaves, in their order."""
    chosen = tellable(_keys(members), _told(node), SystemRandom())
    return [member for member in members if str(member.record.key) in chosen]


def may_tell(node: HospitalNode, members: Sequence[Member], labels: Array, groups: int = 2) -> bool:
    """Whether they are five people of each label or more; then it is remembered that they are told.

    To be called before anything leaves, with what `tellable_members` chose. Labels are numbers
    below `groups`, as a task groups people.  # labels (n,)
    """
    if node.party.journal.get(_FORGOTTEN) is not None:
        return False
    if not enough(labels, np.array([str(member.record.key) for member in members]), groups):
        return False
    told, people = _told(node), _keys(members)
    if people not in told:
        node.party.journal.put(_TOLD, [sorted(keys) for keys in [*told, people]])
    return True


def forget_told(node: HospitalNode) -> None:
    """Remember that a journal was lost, and with it what left: no table is known to be safe now."""
    node.party.journal.put(_FORGOTTEN, {})


def knows_told(node: HospitalNode) -> bool:
    """Whether the journal knows of any table that left."""
    return node.party.journal.get(_TOLD) is not None


def _keys(members: Sequence[Member]) -> frozenset[str]:
    return frozenset(str(member.record.key) for member in members)


def _told(node: HospitalNode) -> list[frozenset[str]]:
    return [frozenset(keys) for keys in node.party.journal.get(_TOLD) or []]
