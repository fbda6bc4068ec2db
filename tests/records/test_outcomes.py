"""Labels of every kind: read from a row or set aside, kept, dealt, and in the digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dag_cbor
import pytest

from records.dictionary import Dictionary, Field
from records.importer import import_csv
from records.outcomes import Amount, Classes, LabelValue, Outcome, TimeToEvent, Two
from records.record import LocalKey, Record
from records.splits import Part, assign
from records.store import RecordStore

OUTCOMES: dict[str, Outcome] = {
    "two": Two("outcome", "yes", "no"),
    "classes": Classes("outcome", ("mild", "grave", "none")),
    "amount": Amount("outcome", "mmol/L", 2.0, 10.0),
    "time": TimeToEvent("outcome", "dead", "alive", "days", "d", 4000.0),
}
CELLS = {
    "two": ("yes", "no"),
    "classes": ("grave", "none"),
    "amount": ("2.5", "1e1"),
    "time": ("dead,345", "alive,4000"),
}
VALUES: dict[str, tuple[LabelValue, LabelValue]] = {
    "two": (True, False),
    "classes": (1, 2),
    "amount": (2.5, 10.0),
    "time": ((345.0, True), (4000.0, False)),
}
KINDS = list(OUTCOMES)


def words(kind: str) -> Dictionary:
    return Dictionary("paper/1", (Field("age", "a", 0.0, 120.0),), OUTCOMES[kind])


def write(folder: Path, kind: str, *cells: str) -> Path:
    path = folder / "records.csv"
    rows = [f"p{place},{50 + place},{cell}" for place, cell in enumerate(cells, start=1)]
    path.write_text("\n".join([",".join(words(kind).columns), *rows]) + "\n")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_read_kept_and_given_back(kind: str, tmp_path: Path) -> None:
    imported = import_csv(write(tmp_path, kind, *CELLS[kind]), words(kind))
    assert [record.label for record in imported.records] == list(VALUES[kind])
    assert [type(x.label) for x in imported.records] == [type(x) for x in VALUES[kind]]
    with RecordStore(tmp_path / "records.sqlite") as store:
        store.replace(imported, "paper/1")
        assert store.records("paper/1") == list(imported.records)
        digests = [record.digest(words(kind)) for record in store.records("paper/1")]
    assert digests == [record.digest(words(kind)) for record in imported.records]


BROKEN = [
    ("classes", "", ["present"]),
    ("classes", "Grave", ["label"]),
    ("amount", "", ["present"]),
    ("amount", "nan", ["number"]),
    ("amount", "10.5", ["range"]),
    ("amount", "1.99", ["range"]),
    ("time", "dead,", ["present"]),
    ("time", ",345", ["present"]),
    ("time", "dead,-1", ["range"]),
    ("time", "dead,4001", ["range"]),
    ("time", "dead,inf", ["number"]),
    ("time", "lost,soon", ["label", "number"]),
]


@pytest.mark.parametrize(("kind", "cell", "rules"), BROKEN)
def test_a_row_whose_label_cannot_be_is_set_aside_with_every_reason(
    kind: str, cell: str, rules: list[str], tmp_path: Path
) -> None:
    imported = import_csv(write(tmp_path, kind, cell, CELLS[kind][0]), words(kind))
    assert [record.key for record in imported.records] == ["p2"]
    (row,) = imported.quarantine
    assert [finding.rule.value for finding in row.findings] == rules
    assert {(check.rule.value, check.failed) for check in imported.report.failed} == {
        (rule, 1) for rule in rules
    }
    if cell.split(",")[-1]:
        assert cell.split(",")[-1] not in repr(row) + repr(imported.report)


def test_a_file_without_the_time_is_no_file_of_the_study(tmp_path: Path) -> None:
    path = write(tmp_path, "two", "dead")
    with pytest.raises(Exception, match="the header lacks days") as caught:
        import_csv(path, words("time"))
    assert "dead" not in str(caught.value)


def test_the_digest_holds_the_label_in_words_and_numbers() -> None:
    def digest(label: object) -> bytes:
        content = {
            "format": "consilium/patient-record/1",
            "dictionary": "paper/1",
            "key": "p1",
            "values": {"age": 50.0},
            "label": label,
        }
        return hashlib.sha256(dag_cbor.encode(content)).digest()

    said = {"two": "yes", "classes": "grave", "amount": 2.5, "time": ["dead", 345.0]}
    for kind, label in said.items():
        record = Record(LocalKey("p1"), (50.0,), VALUES[kind][0])
        assert record.digest(words(kind)) == digest(label)
    late = replace(record, label=(346.0, True))
    censored = replace(record, label=(345.0, False))
    assert len({x.digest(words("time")) for x in (record, late, censored)}) == 3
    zero = Record(LocalKey("p1"), (50.0,), 0.0)
    both = {x.digest(words("amount")) for x in (zero, replace(zero, label=-0.0))}
    assert len(both) == 2  # equal numbers, other bytes


def test_every_class_and_every_event_is_dealt_by_itself() -> None:
    def parts(labels: list[LabelValue]) -> Counter[tuple[int, Part]]:
        records = [Record(LocalKey(f"p{i:03}"), (), label) for i, label in enumerate(labels)]
        dealt = assign(records, seed=1, hospital="north", validation=0.2, test=0.1)
        return Counter((record.stratum, dealt[record.key]) for record in records)

    classes = parts([0] * 10 + [1] * 20 + [2] * 30)
    assert [classes[place, Part.VALIDATION] for place in range(3)] == [2, 4, 6]
    assert [classes[place, Part.TEST] for place in range(3)] == [1, 2, 3]
    times = parts([(float(i), i % 5 == 0) for i in range(50)])
    assert (times[1, Part.TEST], times[0, Part.TEST]) == (1, 4)
    amounts = parts([float(i) for i in range(50)])
    assert amounts == {(0, Part.TEST): 5, (0, Part.VALIDATION): 10, (0, Part.TRAIN): 35}


def test_labels_are_told_in_one_line() -> None:
    told = [OUTCOMES[kind].tell(VALUES[kind][0]) for kind in KINDS]
    assert told == ["yes", "grave", "2.5 mmol/L", "dead at 345 d"]
    assert OUTCOMES["time"].tell((12.5, False)) == "alive at 12.5 d"
