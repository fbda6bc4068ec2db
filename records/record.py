"""A patient's record in its hospital, and its digest."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import NewType, TypeAlias

import dag_cbor
from dag_cbor import IPLDKind

from records.dictionary import Dictionary
from records.outcomes import LabelValue, Said, stratum_of

LocalKey = NewType("LocalKey", str)
"""A hospital's own key of a patient; it leaves the hospital in no form."""

Value: TypeAlias = float | bytes
"""A number, or an image as its grey levels: one byte a pixel, row by row from the top."""

_FORMAT = "consilium/patient-record/1"


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One patient: values in the dictionary's order and units, and the label.

    `held_out`: set aside for testing by who published the data; it says nothing of the patient and
    is not in the digest.
    """

    key: LocalKey
    values: tuple[Value, ...]
    label: LabelValue
    held_out: bool = False

    def __repr__(self) -> str:
        return "Record(…)"  # a repr ends up in logs and tracebacks

    def digest(self, dictionary: Dictionary) -> bytes:
        """sha2-256 of the record's canonical dag-cbor bytes; salted before it leaves."""
        names = tuple(field.name for field in dictionary.fields)
        spelt = _Spelt((*self.values, dictionary.outcome.say(self.label)))
        return _digest(spelt, names, dictionary.name, self.key)

    @property
    def stratum(self) -> int:
        """Its class, or whether its event came; 0 where the label is an amount."""
        return stratum_of(self.label)


class _Spelt:
    """Values that are equal only when they are written alike: 0.0 is not -0.0, nor 1.0 1."""

    __slots__ = ("spelling", "values")

    def __init__(self, values: tuple[Value | Said, ...]) -> None:
        self.values = values
        self.spelling = repr(values)

    def __hash__(self) -> int:
        return hash(self.spelling)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spelt) and self.spelling == other.spelling


@functools.lru_cache(maxsize=1 << 14)  # every round asks for the same again, and encoding is dear
def _digest(spelt: _Spelt, names: tuple[str, ...], dictionary: str, key: LocalKey) -> bytes:
    *values, label = map(_kind, spelt.values)
    content: dict[str, IPLDKind] = {
        "format": _FORMAT,
        "dictionary": dictionary,
        "key": key,
        "values": dict(zip(names, values, strict=True)),
        "label": label,
    }
    return hashlib.sha256(dag_cbor.encode(content)).digest()


def _kind(value: Value | Said) -> IPLDKind:
    return [*value] if isinstance(value, tuple) else value
