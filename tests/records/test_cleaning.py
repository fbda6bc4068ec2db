"""Each rule of cleaning, what it notes, and what it leaves to the importer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from records.cleaning import Bounds, Change, Cleaning, Fix
from records.dictionary import Dictionary
from records.errors import ImportFailed
from records.importer import import_csv
from records.quality import Rule
from records.store import RecordStore

Writer = Callable[..., Path]
HEADER = "patient,age,dose,code"
CLEANING = Cleaning(
    label_column="code",
    labels={"0": False, "1": True, "2": True},
    bounds={"age": Bounds(0, 200, zero_is_missing=True), "dose": Bounds(-10, 10)},
)


def changes(path: Path, dictionary: Dictionary) -> list[tuple[int, str, str, str, Fix]]:
    found = import_csv(path, dictionary, CLEANING).changes
    return [(x.line, x.field, x.old, x.new, x.rule) for x in found if x.rule is not Fix.LABEL]


@pytest.mark.parametrize(
    ("row", "values", "noted"),
    [
        ("p1,30,1.5,0", (30.0, 1.5), []),
        ("p1,30.0,.5,0", (30.0, 0.5), []),
        ("p1,?,1,0", (60.0, 1.0), [("age", "?", "", Fix.MISSING_WORD), "age"]),
        ("p1,,1,0", (60.0, 1.0), ["age"]),
        ("p1,0.0,1,0", (60.0, 1.0), [("age", "0.0", "", Fix.ZERO), "age"]),
        ("p1,201,1,0", (60.0, 1.0), [("age", "201", "", Fix.OUTLIER), "age"]),
        ("p1,200,1,0", (120.0, 1.0), [("age", "200", "120.0", Fix.CLAMPED)]),
        ("p1,30,-10,0", (30.0, -4.0), [("dose", "-10", "-4.0", Fix.CLAMPED)]),
        ("p1,30,-10.1,0", (30.0, 0.0), [("dose", "-10.1", "", Fix.OUTLIER), "dose"]),
    ],
)
def test_a_cell_becomes_what_its_rule_says_and_each_step_is_noted(
    write: Writer, dictionary: Dictionary, row: str, values: tuple[float, ...], noted: list[object]
) -> None:
    path = write(row, header=HEADER)
    (record,) = import_csv(path, dictionary, CLEANING).records
    assert record.values == values
    middle = {"age": "60.0", "dose": "0.0"}
    expected = [(x, "", middle[x], Fix.IMPUTED) if isinstance(x, str) else x for x in noted]
    assert [x[1:] for x in changes(path, dictionary)] == expected


def test_codes_become_the_label_and_every_one_is_noted(
    write: Writer, dictionary: Dictionary
) -> None:
    path = write("p1,30,1,0", "p2,30,2,2.0", "p3,30,3,7", header=HEADER)
    imported = import_csv(path, dictionary, CLEANING)
    assert [(x.key, x.label) for x in imported.records] == [("p1", False), ("p2", True)]
    assert imported.changes == (
        Change(2, "outcome", "0", "no", Fix.LABEL),
        Change(3, "outcome", "2.0", "yes", Fix.LABEL),
    )
    assert [x.findings[0].rule for x in imported.quarantine] == [Rule.LABEL]


def test_a_row_entered_twice_goes_once_however_its_numbers_are_written(
    write: Writer, dictionary: Dictionary
) -> None:
    path = write("p1,30,1,0", "p2,30.0,1.0,0", "p3,30,1,1", "p4,x,1,1,9", header=HEADER)
    imported = import_csv(path, dictionary, CLEANING)
    assert [x.key for x in imported.records] == ["p1", "p3"]
    assert [x for x in imported.changes if x.rule is Fix.DUPLICATE] == [
        Change(3, "patient", "p2", "", Fix.DUPLICATE)
    ]
    assert imported.report.rows == 3


def test_what_no_rule_knows_is_quarantined_not_guessed(
    write: Writer, dictionary: Dictionary
) -> None:
    path = write("p1,old,1,0", "p2,30,1", header=HEADER)
    imported = import_csv(path, dictionary, CLEANING)
    assert [x.findings[0].rule for x in imported.quarantine] == [Rule.NUMBER, Rule.CELLS]
    with pytest.raises(ImportFailed, match="lacks code"):
        import_csv(write("p1,30,1,0"), dictionary, CLEANING)


def test_the_report_stays_in_the_store_and_out_of_what_is_printed(
    tmp_path: Path, write: Writer, dictionary: Dictionary
) -> None:
    imported = import_csv(write("p77,177.25,?,2", header=HEADER), dictionary, CLEANING)
    with RecordStore(tmp_path / "records.sqlite") as store:
        store.replace(imported, dictionary.name)
        assert tuple(store.changes()) == imported.changes
        assert len(imported.changes) == 4
    assert "177.25" not in repr(imported)
