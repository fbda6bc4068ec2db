from __future__ import annotations

import csv
import stat
from collections import Counter
from pathlib import Path

from sklearn.datasets import load_breast_cancer

from records.wisconsin import SHARES, deal


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_every_patient_is_in_exactly_one_hospital(tmp_path: Path) -> None:
    dealt = []
    for path in deal(tmp_path, seed=1).values():
        header, rows = read(path)
        dealt += [(tuple(map(float, row[1:-1])), row[-1]) for row in rows]
        assert header[0] == "patient"
        assert len(header) == 32
    data = load_breast_cancer()
    words = ["malignant", "benign"]
    real = [(tuple(row), words[t]) for row, t in zip(data.data.tolist(), data.target, strict=True)]
    assert Counter(dealt) == Counter(real)


def test_hospitals_differ_in_size_and_prevalence(tmp_path: Path) -> None:
    for name, path in deal(tmp_path, seed=3).items():
        counts = Counter(row[-1] for row in read(path)[1])
        assert (counts["malignant"], counts["benign"]) == SHARES[name]
    assert len({malignant / (malignant + benign) for malignant, benign in SHARES.values()}) == 4


def test_the_seed_decides_who_goes_where(tmp_path: Path) -> None:
    first, again, other = (
        {name: path.read_bytes() for name, path in deal(tmp_path / folder, seed).items()}
        for folder, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_only_the_owner_can_read_a_hospitals_file(tmp_path: Path) -> None:
    for path in deal(tmp_path, seed=1).values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = [row[0] for row in read(path)[1]]
        assert len(set(keys)) == len(keys)
