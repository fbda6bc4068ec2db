from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from records.dictionary import Dictionary
from records.errors import ImportFailed
from records.importer import import_csv
from records.quality import Category, Rule

Writer = Callable[..., Path]


def test_good_rows_are_imported_in_the_order_of_their_keys(
    write: Writer, dictionary: Dictionary
) -> None:
    imported = import_csv(write("p2, 50 ,1e0,yes", "p1,30,-0.5,no"), dictionary)
    assert [(x.key, x.values, x.label) for x in imported.records] == [
        ("p1", (30.0, -0.5), False),
        ("p2", (50.0, 1.0), True),
    ]
    assert imported.quarantine == ()
    assert (imported.report.rows, imported.report.accepted) == (2, 2)
    assert imported.report.failed == ()


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        ("p9,50,1", "", Rule.CELLS),
        ("p9,50,1,yes,more", "", Rule.CELLS),
        (" ,50,1,yes", "patient", Rule.KEY_PRESENT),
        ("p9,,1,yes", "age", Rule.PRESENT),
        ("p9,50,1,", "outcome", Rule.PRESENT),
        ("p9,fifty,1,yes", "age", Rule.NUMBER),
        ("p9,nan,1,yes", "age", Rule.NUMBER),
        ("p9,inf,1,yes", "age", Rule.NUMBER),
        ("p9,1e999,1,yes", "age", Rule.NUMBER),
        ("p9,1_0,1,yes", "age", Rule.NUMBER),
        ("p9,١,1,yes", "age", Rule.NUMBER),
        ("p9,0x10,1,yes", "age", Rule.NUMBER),
        ('p9,"5,0",1,yes', "age", Rule.NUMBER),
        ("p9,121,1,yes", "age", Rule.RANGE),
        ("p9,50,-4.01,yes", "dose", Rule.RANGE),
        ("p9,50,1,maybe", "outcome", Rule.LABEL),
        ("p9,50,1,YES", "outcome", Rule.LABEL),
    ],
)
def test_a_broken_row_is_quarantined_with_line_field_and_rule(
    write: Writer, dictionary: Dictionary, row: str, field: str, rule: Rule
) -> None:
    imported = import_csv(write("p1,30,0,no", row, "p2,40,0,yes"), dictionary)
    assert [record.key for record in imported.records] == ["p1", "p2"]
    (broken,) = imported.quarantine
    assert broken.line == 3
    assert [(x.line, x.field, x.rule) for x in broken.findings] == [(3, field, rule)]
    assert [(x.field, x.rule, x.failed, x.total) for x in imported.report.failed] == [
        (field, rule, 1, 3)
    ]
    assert imported.report.failed[0].percent == pytest.approx(100 / 3)


def test_every_reason_is_given_at_once_and_the_row_is_kept_whole(
    write: Writer, dictionary: Dictionary
) -> None:
    (broken,) = import_csv(write("p9,old,9,?"), dictionary).quarantine
    assert [x.rule for x in broken.findings] == [Rule.NUMBER, Rule.RANGE, Rule.LABEL]
    assert broken.cells == ("p9", "old", "9", "?")


def test_rows_that_share_a_key_are_all_quarantined(write: Writer, dictionary: Dictionary) -> None:
    imported = import_csv(write("p1,30,0,no", "p2,30,0,no", " p1,31,0,no"), dictionary)
    assert [record.key for record in imported.records] == ["p2"]
    assert [x.line for x in imported.quarantine] == [2, 4]


def test_no_row_is_lost(write: Writer, dictionary: Dictionary) -> None:
    rows = [f"p{i},{i},{i % 7},{'yes' if i % 3 else 'maybe'}" for i in range(200)]
    imported = import_csv(write(*rows), dictionary)
    assert len(imported.records) + len(imported.quarantine) == 200 == imported.report.rows
    lines = {x.line for x in imported.quarantine}
    assert lines == {i + 2 for i in range(200) if i > 120 or i % 7 > 4 or i % 3 == 0}


def test_the_report_speaks_of_conformance_completeness_and_plausibility(
    write: Writer, dictionary: Dictionary
) -> None:
    imported = import_csv(write("p1,,0,no", "p2,x,0,no", "p3,200,0,no"), dictionary)
    broken = {check.category: check.field for check in imported.report.failed}
    assert broken == dict.fromkeys(Category, "age")
    assert len(imported.report.checks) == 3 + 2 * 3 + 2


def test_columns_in_any_order_are_found_and_unknown_ones_reported(
    write: Writer, dictionary: Dictionary
) -> None:
    path = write("a@b,yes,1,30,p1", header="email,outcome,dose, age ,patient")
    imported = import_csv(path, dictionary)
    assert imported.records[0].values == (30.0, 1.0)
    assert imported.report.ignored == ("email",)


def test_a_byte_order_mark_and_empty_lines_do_no_harm(
    tmp_path: Path, dictionary: Dictionary
) -> None:
    path = tmp_path / "records.csv"
    path.write_bytes(b"\xef\xbb\xbfpatient,age,dose,outcome\r\n\r\np1,1,1,no\r\n\r\n")
    assert len(import_csv(path, dictionary).records) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"patient,age,outcome\np1,1,no\n", "lacks dose"),
        (b"p1,1,1,no\n", "lacks patient, age, dose, outcome"),
        (b"patient,age,dose,dose,outcome\n", "named twice in the header: dose"),
        (b"patient,age,dose,outcome\n\xff,1,1,no\n", "byte 25 is not UTF-8"),
        (b'patient,age,dose,outcome\n"p1,1,1,no\n', "not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, dictionary: Dictionary, content: bytes, said: str
) -> None:
    path = tmp_path / "records.csv"
    path.write_bytes(content)
    with pytest.raises(ImportFailed) as caught:
        import_csv(path, dictionary)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(ImportFailed, match="cannot be read"):
        import_csv(tmp_path / "none.csv", dictionary)


def test_a_patient_in_the_place_of_the_header_is_not_shown(
    tmp_path: Path, dictionary: Dictionary
) -> None:
    path = tmp_path / "records.csv"
    for extra in ("", ",patient,age,dose,outcome"):
        path.write_text(f"key77,31.25,31.25,no{extra}\n", encoding="utf-8")
        with pytest.raises(ImportFailed) as caught:
            import_csv(path, dictionary)
        assert "31.25" not in str(caught.value)
        assert "key77" not in str(caught.value)


def test_no_value_shows_where_records_and_findings_are_printed(
    write: Writer, dictionary: Dictionary
) -> None:
    imported = import_csv(write("key77,31.25,0,no", "key78,oddword,0,no"), dictionary)
    shown = repr(imported) + str(imported.records[0]) + str(imported.quarantine[0])
    for secret in ("31.25", "oddword", "key77", "key78"):
        assert secret not in shown
