"""Wisconsin diagnostic breast cancer, dealt to four invented hospitals.

569 real patients (W. H. Wolberg, W. N. Street, O. L. Mangasarian; CC BY 4.0), out of scikit-learn.
The hospitals differ in size and in prevalence, as real ones do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator, Philox

from records.errors import RecordsError
from records.export import write_csv

SHARES: dict[str, tuple[int, int]] = {
    "north": (55, 165),
    "harbor": (57, 93),
    "valley": (55, 64),
    "lakeside": (45, 35),
}
"""Malignant and benign patients of each hospital: prevalence 25, 38, 46 and 56 %."""

KEY = "patient"
LABEL = "diagnosis"


def deal(folder: Path, seed: int) -> dict[str, Path]:
    """Write each hospital's patients to `folder`/HOSPITAL/records.csv (mode 600).

    `seed` decides who goes where and every local key. The same seed gives the same bytes.
    """
    header, rows, malignant = _load()
    order = Generator(Philox(key=seed))
    pools = [
        order.permutation(np.flatnonzero(malignant)),
        order.permutation(np.flatnonzero(~malignant)),
    ]
    files: dict[str, Path] = {}
    taken = [0, 0]
    for name, shares in SHARES.items():
        chosen: list[int] = []
        for pool, share in enumerate(shares):
            chosen += pools[pool][taken[pool] : taken[pool] + share].tolist()
            taken[pool] += share
        mixed = order.permutation(np.array(chosen)).tolist()
        lines = [[f"{name}-{number:04d}", *rows[row]] for number, row in enumerate(mixed, start=1)]
        files[name] = write_csv(folder / name / "records.csv", [[KEY, *header, LABEL], *lines])
    return files


def _load() -> tuple[list[str], list[list[str]], np.ndarray]:
    from sklearn.datasets import load_breast_cancer  # takes a second, needed only here

    data = load_breast_cancer()
    malignant = data.target == 0
    header = [str(name).replace(" ", "_") for name in data.feature_names]
    words = np.where(malignant, "malignant", "benign").tolist()
    rows = [
        [*map(repr, values.tolist()), word] for values, word in zip(data.data, words, strict=True)
    ]
    if len(rows) != sum(map(sum, SHARES.values())):
        raise RecordsError("scikit-learn's breast cancer data changed; pin the version of the lock")
    return header, rows, malignant
