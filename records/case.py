"""A case at the bedside: one patient's values, judged by a dictionary.

Stricter than an import: every field of the dictionary and no other, no label, nothing clamped; a
value outside its field's range is refused. What is missing is filled by the cleaning's rule where
the dictionary has one, and named. No error shows a value.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from records.cleaning import Cleaning
from records.dictionary import Dictionary, Field
from records.errors import CaseRefused
from records.record import LocalKey, Value

_SHOWN = 5


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """Values in the dictionary's order; `imputed` names fields filled by rule.

    `done` says what was done to a picture; `key` is the patient's where the file gives one.
    """

    values: tuple[Value, ...]
    imputed: tuple[str, ...] = ()
    done: str = ""
    key: LocalKey | None = None

    def __repr__(self) -> str:
        return "Case(…)"  # a repr ends up in logs and tracebacks


@dataclass(frozen=True, slots=True)
class Reading:
    """How cases are read: by which dictionary and cleaning; `fit`: pictures may be scaled."""

    dictionary: Dictionary
    cleaning: Cleaning | None = None
    fit: bool = False

    @property
    def missing(self) -> frozenset[str]:
        """Cells that stand for a value which is not known."""
        return self.cleaning.missing if self.cleaning else frozenset({"", "?"})


def judge_case(
    where: str, given: Mapping[str, float | None], key: str | None, reading: Reading
) -> Case:
    """The case of numbers by field: None for a missing one, NaN for what is none.

    Raises `CaseRefused` for the first field that breaks a rule.
    """
    values, imputed = [], []
    for item in reading.dictionary.fields:
        value = given[item.name]
        if value is not None and math.isnan(value):
            raise CaseRefused(f"{where}: {item.name} is no number; write one in {item.unit}")
        if value is None or _is_unknown(value, item, reading.cleaning):
            if reading.cleaning is None:
                raise CaseRefused(
                    f"{where}: {item.name} is missing, and {reading.dictionary.name} has no rule "
                    "for what is missing; give it"
                )
            value = reading.cleaning.filling(item)
            imputed.append(item.name)
        elif not item.minimum <= value <= item.maximum:
            raise CaseRefused(
                f"{where}: {item.name} lies outside of {item.minimum:g} to {item.maximum:g} "
                f"{item.unit}, which the study can read; check the value, its unit and its column"
            )
        values.append(value)
    return Case(tuple(values), tuple(imputed), key=LocalKey(key) if key else None)


def _is_unknown(value: float, item: Field, cleaning: Cleaning | None) -> bool:
    """A 0 that the hospital's files write for what nobody measured."""
    bounds = cleaning.bounds.get(item.name) if cleaning else None
    return value == 0 and bounds is not None and bounds.zero_is_missing


def check_names(path: Path, names: Collection[str], reading: Reading) -> None:
    """Raise `CaseRefused` for the label, and for columns that the dictionary does not know."""
    words = reading.dictionary
    answers = set(words.outcome.columns) | (
        {reading.cleaning.label_column} if reading.cleaning else set()
    )
    if given := sorted(answers & set(names)):
        raise CaseRefused(
            f"{path}: has {given[0]}, which is the answer; a case is asked about without it: take "
            "it out"
        )
    known = {item.name for item in words.fields} | {words.key}
    if unknown := sum(name not in known for name in names):
        # not shown: where the header is missing, a patient stands in its place
        missing = [item.name for item in words.fields if item.name not in names]
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        lacks = f", and lacks {', '.join(missing[:_SHOWN])}{more}" if missing else ""
        raise CaseRefused(
            f"{path}: has {unknown} columns that {words.name} does not know{lacks}; a header of "
            "the dictionary's fields is expected"
        )
