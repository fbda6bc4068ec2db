"""Who stands behind which consent: one key a person and study, all of a call or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from records.consents import ConsentTable, PatientConsent
from records.errors import StoreError
from records.record import LocalKey

STUDY = 1


def consent(patient: str, number: int, *, agreement: int = 1, key: str = "") -> PatientConsent:
    owner = key or f"0x{patient}"
    return PatientConsent(LocalKey(patient), bytes([number]) * 32, STUDY, agreement, 0, owner)


@pytest.fixture
def table(tmp_path: Path) -> ConsentTable:
    return ConsentTable(tmp_path / "consents.sqlite")


def test_what_was_added_is_found_by_study_and_by_patient(table: ConsentTable) -> None:
    rows = [consent("alex", 1), consent("casey", 2)]
    table.add(rows)
    table.add(rows)  # once more changes nothing
    assert table.of_study(STUDY) == rows
    assert table.of_study(STUDY + 1) == []
    assert table.of_patient("casey") == rows[1:]


@pytest.mark.parametrize("other", [{"key": "0xother"}, {"agreement": 2}])
def test_one_person_is_not_admitted_twice_in_one_call(
    table: ConsentTable, other: dict[str, object]
) -> None:
    twice = [consent("casey", 1), consent("alex", 2), consent("alex", 3, **other)]  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="once per study") as caught:
        table.add(twice)
    assert "alex" not in str(caught.value)
    assert table.of_study(STUDY) == []


def test_one_person_is_not_admitted_again_later(table: ConsentTable) -> None:
    table.add([consent("alex", 1)])
    with pytest.raises(StoreError, match="under another key"):
        table.add([consent("alex", 2, key="0xother")])
    assert len(table.of_patient("alex")) == 1


def test_forgetting_leaves_ids_that_lead_to_nobody(table: ConsentTable) -> None:
    table.add([consent("alex", 1), consent("casey", 2)])
    assert table.forget("alex") == 1
    assert [row.patient for row in table.of_study(STUDY)] == ["casey"]


def test_only_its_owner_can_read_the_table(tmp_path: Path) -> None:
    ConsentTable(tmp_path / "consents.sqlite").close()
    assert (tmp_path / "consents.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "consents.sqlite"
    path.write_bytes(b"not a database, and longer than its header would be" * 40)
    with pytest.raises(StoreError, match=r"consents\.sqlite"):
        ConsentTable(path)
