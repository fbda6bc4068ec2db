"""Whose update is not in a round's model, or came late: by name, with the reason."""

from __future__ import annotations

from api.report.blocks import ON_CHAIN, Block, Text, row, table
from api.report.data import ReportData, RoundFacts, Update
from api.report.numbers import NONE
from federated.exclusion import ExclusionCode
from federated.outcome import Fate

_CODE_WORDS: dict[str, str] = {
    ExclusionCode.SCHEMA: "what it sent is no update of this study and round",
    ExclusionCode.SHAPE: "its tensors have another shape or size",
    ExclusionCode.NON_FINITE: "it holds a number beyond every bound",
    ExclusionCode.OVER_CLIP: "it is longer than the clip norm allows",
    ExclusionCode.LIST_MISSING: "nobody has the list of its cohort, by an auditor's word",
    ExclusionCode.UNDECRYPTABLE: "it does not open, or nobody has it, by an auditor's word",
}
_FATE_WORDS = {
    Fate.FROZEN: ("did not submit", "it froze its cohort and sent no update in time"),
    Fate.ABSENT: ("did not freeze", "it named no cohort in time"),
    Fate.OUTSIDE: ("not in the round", "it was not drawn, or had not enrolled, or had left"),
}


def missing(data: ReportData) -> list[Block]:
    """A table of them over all rounds, or a sentence that there are none."""
    rows = [
        row(str(round_.number), item.hospital, *_told(round_, item))
        for round_ in data.provenance.rounds
        for item in round_.updates
        if item.fate is not Fate.INCLUDED or item.staleness
    ]
    if not rows:
        return [Text("Every hospital's update is in every round's model, and none came late.")]
    columns = ("round", "hospital", "what", "why")
    caption = "Updates that are missing, late or voided"
    return [table("missing", caption, ON_CHAIN, columns, rows, words=(1, 2, 3))]


def _told(round_: RoundFacts, item: Update) -> tuple[str, str]:
    """What became of the hospital, and why."""
    if item.fate is Fate.INCLUDED:
        late = f"{item.staleness} model{'s'[: item.staleness > 1]} late"
        return late, f"it counts with 1/{item.staleness + 1} of its weight"
    if item.fate is Fate.VOIDED:
        after = "after the round: the model holds it" if item.included else "before the mean"
        return "voided", f"its cohort was proven false {after}"
    if item.fate is Fate.EXCLUDED:
        why = _CODE_WORDS.get(item.code, NONE)
        again = "; auditors found otherwise, and its weight counts" * item.restored
        return f"excluded: {item.code}", f"{why}{again}"
    if item.fate is Fate.SUBMITTED:
        why = "no reason is given: see the audit" if round_.state else "the round gave no model"
        return "sent, not used", why
    return _FATE_WORDS[item.fate]
