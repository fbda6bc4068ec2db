"""A patient's record in its hospital, and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NewType

import dag_cbor
from dag_cbor import IPLDKind

from records.dictionary import Dictionary

LocalKey = NewType("LocalKey", str)
"""A hospital's own key of a patient; it leaves the hospital in no form."""

_FORMAT = "consilium/patient-record/1"


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One patient: values in the dictionary's order and units, and the label."""

    key: LocalKey
    values: tuple[float, ...]
    positive: bool

    def __repr__(self) -> str:
        return "Record(…)"  # a repr ends up in logs and tracebacks

    def digest(self, dictionary: Dictionary) -> bytes:
        """sha2-256 of the record's canonical dag-cbor bytes; salted before it leaves."""
        names = [field.name for field in dictionary.fields]
        values: dict[str, IPLDKind] = dict(zip(names, self.values, strict=True))
        content: dict[str, IPLDKind] = {
            "format": _FORMAT,
            "dictionary": dictionary.name,
            "key": self.key,
            "values": values,
            "label": dictionary.positive if self.positive else dictionary.negative,
        }
        return hashlib.sha256(dag_cbor.encode(content)).digest()
