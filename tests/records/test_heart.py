"""The real defects of four real hospitals, as counted in their raw files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from federated.hospital.data import read_file
from federated.studies import heart_spec
from records.cleaning import Fix
from records.heart import ROWS, deal
from records.importer import Imported
from records.sources import HEART
from records.splits import Part, assign
from tests.data_sets import need

# counted in the raw files with grep, sort and awk, less the "?" of the two rows entered twice:
# hospital → (duplicates, zero, "?", oldpeak below 0)
DEFECTS = {
    "cleveland": (0, 0, 6, 0),
    "hungarian": (1, 0, 778, 0),
    "switzerland": (0, 123, 273, 11),
    "va": (1, 50, 695, 1),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    need(*HEART.values())
    files = deal(tmp_path_factory.mktemp("heart"), seed=1)
    return {name: read_file(path, heart_spec()) for name, path in files.items()}


def test_918_patients_of_13_fields_remain_and_none_is_quarantined(
    imported: dict[str, Imported],
) -> None:
    assert sum(len(x.records) for x in imported.values()) == 918
    assert all(not x.quarantine for x in imported.values())
    assert {len(r.values) for x in imported.values() for r in x.records} == {13}
    positive = {n: sum(r.label for r in x.records) for n, x in imported.items()}
    assert positive == {"cleveland": 139, "hungarian": 106, "switzerland": 115, "va": 148}


def test_every_defect_is_found_and_noted(imported: dict[str, Imported]) -> None:
    for name, (duplicates, zeros, words, negative) in DEFECTS.items():
        found = imported[name].changes
        count = Counter(change.rule for change in found)
        assert count[Fix.DUPLICATE] == duplicates
        assert count[Fix.ZERO] == zeros
        assert count[Fix.MISSING_WORD] == words
        assert count[Fix.LABEL] == ROWS[name] - duplicates
        assert count[Fix.IMPUTED] == zeros + words + count[Fix.OUTLIER]
        low = [x for x in found if x.field == "oldpeak" and x.old.startswith("-")]
        assert len(low) == negative
        assert {x.new for x in low} <= {"0.0"}


def test_a_hospital_exports_its_raw_cells(tmp_path: Path) -> None:
    need(*HEART.values())
    files = deal(tmp_path, seed=1)
    first = {name: path.read_text().splitlines()[1] for name, path in files.items()}
    assert first["cleveland"].startswith("cleveland-0001,63.0,1.0,1.0,145.0")
    assert first["switzerland"] == "switzerland-0001,32,1,1,95,0,?,0,127,0,.7,1,?,?,1"


def test_a_third_of_each_hospitals_patients_test_and_both_labels_do(
    imported: dict[str, Imported],
) -> None:
    split = heart_spec().split
    for name, found in imported.items():
        fractions = {"validation": split.validation, "test": split.test}
        parts = assign(found.records, seed=1, hospital=name, **fractions)
        tests = [x for x in found.records if parts[x.key] is Part.TEST]
        assert abs(len(tests) - 0.34 * len(found.records)) < 1
        assert {x.label for x in tests} == {False, True}
