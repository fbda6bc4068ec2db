from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dag_cbor
import pytest

from records.dictionary import Dictionary, Field
from records.errors import StoreError
from records.importer import Imported, import_csv
from records.record import LocalKey, Record
from records.store import RecordStore

Writer = Callable[..., Path]
ROWS = ("p2,50,1,yes", "p1,30,0.1,no", "p3,old,0,no")


@pytest.fixture
def imported(write: Writer, dictionary: Dictionary) -> Imported:
    return import_csv(write(*ROWS), dictionary)


def test_what_was_imported_comes_back(tmp_path: Path, imported: Imported) -> None:
    path = tmp_path / "records.sqlite"
    with RecordStore(path) as store:
        store.replace(imported, "paper/1")
    with RecordStore(path) as store:
        assert store.records("paper/1") == list(imported.records)
        assert store.quarantine() == list(imported.quarantine)
        assert store.report() == imported.report


def test_only_the_owner_can_read_the_file(tmp_path: Path, imported: Imported) -> None:
    before = os.umask(0)
    try:
        with RecordStore(tmp_path / "records.sqlite") as store:
            store.replace(imported, "paper/1")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("records.sqlite*")}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_an_import_replaces_the_last_one_wholly_or_not_at_all(
    tmp_path: Path, imported: Imported
) -> None:
    with RecordStore(tmp_path / "records.sqlite") as store:
        store.replace(imported, "paper/1")
        twice = replace(imported, records=imported.records[:1] * 2)
        with pytest.raises(StoreError):
            store.replace(twice, "paper/1")
        assert store.records("paper/1") == list(imported.records)
        store.replace(replace(imported, records=imported.records[:1]), "paper/1")
        assert store.records("paper/1") == list(imported.records[:1])


def test_records_of_another_dictionary_are_not_given_out(
    tmp_path: Path, imported: Imported
) -> None:
    with RecordStore(tmp_path / "records.sqlite") as store:
        with pytest.raises(StoreError, match="nothing was imported"):
            store.records("paper/1")
        store.replace(imported, "paper/1")
        with pytest.raises(StoreError, match="records of paper/1, not of paper/2"):
            store.records("paper/2")


def test_a_file_that_is_no_store_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StoreError, match="not a store of records"):
        RecordStore(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        RecordStore(tmp_path / "none" / "records.sqlite")


def test_a_locked_file_is_one_clear_error(tmp_path: Path, imported: Imported) -> None:
    path = tmp_path / "records.sqlite"
    with RecordStore(path, timeout_s=0.1) as store:
        store.replace(imported, "paper/1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            with pytest.raises(StoreError, match="in use"):
                store.records("paper/1")
        finally:
            other.close()


def test_a_digest_depends_on_key_value_label_and_dictionary(
    imported: Imported, dictionary: Dictionary
) -> None:
    record = imported.records[0]
    variants = [
        record.digest(dictionary),
        replace(record, label=not record.label).digest(dictionary),
        replace(record, values=(30.0, 0.2)).digest(dictionary),
        Record(imported.records[1].key, record.values, record.label).digest(dictionary),
        record.digest(replace(dictionary, name="paper/2")),
    ]
    assert len(set(variants)) == len(variants)
    assert all(len(digest) == 32 for digest in variants)
    assert record.digest(dictionary) == replace(record).digest(dictionary)
    zero, minus = (replace(record, values=(value, 0.2)) for value in (0.0, -0.0))
    assert zero.digest(dictionary) != minus.digest(dictionary)  # equal numbers, other bytes


def test_the_digest_of_an_image_is_over_its_grey_levels(dictionary: Dictionary) -> None:
    scan = replace(dictionary, fields=(Field("scan", "1", 0.0, 255.0, (2, 2)),))
    record = Record(LocalKey("p1"), (b"\x00\x01\x02\xff",), label=True)
    content = {
        "format": "consilium/patient-record/1",
        "dictionary": "paper/1",
        "key": "p1",
        "values": {"scan": b"\x00\x01\x02\xff"},
        "label": "yes",
    }
    assert record.digest(scan) == hashlib.sha256(dag_cbor.encode(content)).digest()
    assert replace(record, values=(b"\x00\x01\x02\xfe",)).digest(scan) != record.digest(scan)
    assert replace(record, held_out=True).digest(scan) == record.digest(scan)
