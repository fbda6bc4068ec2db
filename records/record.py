"""A patient's record in its hospital, and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NewType, TypeAlias

import dag_cbor
from dag_cbor import IPLDKind

from records.dictionary import Dictionary

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
    positive: bool
    held_out: bool = False

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
