"""Which records train, which validate and which test: decided once for all of a hospital's records.

Every label is dealt by itself (amounts together; of times those with the event and those without),
in the order of a hash keyed by seed and hospital. Consents play no part, so a revoked one takes its
record out and moves no other.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable
from enum import StrEnum

import dag_cbor

from records.record import LocalKey, Record


class Part(StrEnum):
    """What a record is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def assign(
    records: Iterable[Record], *, seed: int, hospital: str, validation: float, test: float
) -> dict[LocalKey, Part]:
    """A part for each of a hospital's records, stratified by label.

    Records that were held out test and take no part in the dealing. Of n others with one label the
    first round(test·n) in keyed order test, the next round(validation·n) validate, halves rounded
    up.
    """
    parts: dict[LocalKey, Part] = {}
    everyone = list(records)
    for record in everyone:
        if record.held_out:
            parts[record.key] = Part.TEST
    for stratum in sorted({record.stratum for record in everyone}):
        keys = [x.key for x in everyone if x.stratum == stratum and not x.held_out]
        keys.sort(key=lambda key: _order(seed, hospital, key))
        tests = math.floor(test * len(keys) + 0.5)
        held_out = tests + math.floor(validation * len(keys) + 0.5)
        for position, key in enumerate(keys):
            if position < tests:
                parts[key] = Part.TEST
            else:
                parts[key] = Part.VALIDATION if position < held_out else Part.TRAIN
    return dict(sorted(parts.items()))


@functools.lru_cache(maxsize=1 << 16)  # asked for again in each round, and dear to encode
def _order(seed: int, hospital: str, key: LocalKey) -> bytes:
    return hashlib.sha256(dag_cbor.encode(["consilium/split/1", seed, hospital, key])).digest()
