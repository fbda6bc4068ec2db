"""The first thing that a reader sees: six questions or five, each answered in a sentence or two."""

from __future__ import annotations

from api.report import tasks
from api.report.blocks import Item
from api.report.data import ReportData
from api.report.findings import area_of, helped_words, on_all_patients, on_own_patients
from api.report.numbers import NONE, count, figure, round_tokens, share
from federated.evaluation.result import CENTRALISED, FEDERATED, POOLED, own_model


def summary(data: ReportData) -> tuple[Item, ...]:
    """What was asked, who took part, how good, for whom, paid, audited."""
    return (
        Item("", "What was asked", _asked(data)),
        Item("", "Who took part", _took_part(data)),
        *_judged(data),
        Item(*_paid(data)),
        Item(*_audited(data)),
    )


def _judged(data: ReportData) -> tuple[Item, ...]:
    if data.figures is not None:
        return (Item("", "How good is the model?", tasks.good(data.figures)),)
    return (
        Item("", "How good is the model?", _good(data)),
        Item("", "Does it help each hospital?", _helps(data)),
    )


def _asked(data: ReportData) -> str:
    return f"{data.study.question} Purpose: {', '.join(data.study.purposes)}."


def _took_part(data: ReportData) -> str:
    totals = [sum(item or 0 for item in cohort) for cohort in data.consents.cohorts]
    rounds = sum(bool(item.state) for item in data.provenance.rounds)
    words = f"{len(data.hospitals)} hospitals ({', '.join(data.hospitals)})"
    if totals:
        words += f", {count(totals[0])} consenting patients in the first round"
        words += f" and {count(totals[-1])} in the last"
    asked = f"{count(data.consents.asked)} were asked, {count(data.consents.granted)} agreed"
    return f"{words}; {asked}. {rounds} of {data.study.rounds} rounds were finalized."


def _good(data: ReportData) -> str:
    words = f"On test patients of all hospitals: AUC {figure(area_of(data, FEDERATED, POOLED))}."
    words += f" Trained on all records in one place: {figure(area_of(data, CENTRALISED, POOLED))}."
    own = [area_of(data, own_model(name), POOLED) for name in data.hospitals]
    values = [area.value for area in own if area is not None]
    span = f"{share(min(values))} to {share(max(values))}" if values else NONE
    return f"{words} The hospitals' own models: {span}."


def _helps(data: ReportData) -> str:
    return (
        f"On each hospital's own test patients: {helped_words(on_own_patients(data))}. "
        f"On the patients of all hospitals: {helped_words(on_all_patients(data))}."
    )


def _paid(data: ReportData) -> tuple[str, str, str]:
    found = data.money
    hospitals = sum(item.paid for item in found.shares)
    balanced = found.paid + found.refunded == found.budget
    balanced = balanced and found.paid == found.patients_total + hospitals
    got = sum(bool(item.paid) for item in found.shares)
    amounts = (found.patients_total, hospitals, found.refunded, found.budget)
    patients, shares, back, budget = (round_tokens(amount) for amount in amounts)
    words = (
        f"{count(found.patients)} patients got {patients} tokens, {got} of {len(found.shares)} "
        f"hospitals {shares}; {back} of the budget of {budget} went back to the center."
    )
    mark = "the books balance" if balanced else "the books do not balance"
    return mark, "Was everybody paid?", words


def _audited(data: ReportData) -> tuple[str, str, str]:
    found = data.audit
    total = sum(group.passed + group.failed for group in found.groups)
    passed = sum(group.passed for group in found.groups)
    level = {"keyed": "with an auditor's key", "keyless": "without a key"}.get(found.level, "")
    words = f"{count(passed)} of {count(total)} checks hold, replayed from chain and store {level}."
    return ("ok" if found.ok else "not ok"), "Is the audit ok?", words
