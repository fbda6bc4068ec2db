"""The patients of the demo: each row of a file is one, with a phrase and a will of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from numpy.random import Generator, Philox

from chain.contracts import Contracts
from chain.keys import PatientSecret, new_phrase
from chain.types import AgreementId
from federated.patient import Patient
from records.record import LocalKey


class Will(StrEnum):
    """What a patient decides when asked."""

    REFUSES = "refuses"
    STANDING = "standing"
    SHORT = "short"
    OTHER_PURPOSE = "other-purpose"
    NEGOTIATES = "negotiates"


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """A patient of one hospital, under the hospital's own key."""

    hospital: str
    local_key: LocalKey
    will: Will
    wallet: Patient


REFUSE, OTHER, SHORT, NEGOTIATE = 1 / 8, 1 / 50, 1 / 30, 1 / 40
"""Shares of patients who never grant, grant another purpose, grant for a short time, negotiate."""

_THREADS = 2


def make_patients(
    folder: Path, keys: Mapping[str, Iterable[LocalKey]], chain: Contracts, seed: int
) -> list[DemoPatient]:
    """A wallet file (mode 600) for each patient; `seed` decides wills, never keys."""
    order = Generator(Philox(key=seed))
    asked = [
        (hospital, key, _will(float(order.random()), place))
        for hospital, own in keys.items()
        for place, key in enumerate(sorted(own))
    ]

    def wallet(patient: tuple[str, LocalKey, Will]) -> DemoPatient:
        hospital, key, will = patient
        secret = PatientSecret(_phrase(folder / hospital / f"{key}.json"))
        return DemoPatient(hospital, key, will, Patient(secret, chain))

    # The seed of a phrase is slow by design (PBKDF2), and computed outside of Python's lock.
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(wallet, asked))


def _will(draw: float, place: int) -> Will:
    if place == 0:
        return Will.NEGOTIATES  # somebody in each hospital does
    for will, share in (
        (Will.REFUSES, REFUSE),
        (Will.OTHER_PURPOSE, OTHER),
        (Will.SHORT, SHORT),
        (Will.NEGOTIATES, NEGOTIATE),
    ):
        if draw < share:
            return will
        draw -= share
    return Will.STANDING


def _phrase(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    phrase = new_phrase()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"phrase": phrase}, file)
    return phrase


def read_wallet(path: Path, chain: Contracts) -> Patient:
    """The wallet of one patient of a demo."""
    return Patient(PatientSecret(json.loads(path.read_text("utf-8"))["phrase"]), chain)


Tiers = Mapping[tuple[str, Will], AgreementId]
"""The tier that a patient of a hospital grants under, by will."""
