"""Cases at the bedside: what is right is read as an import reads it, what is wrong is one error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.case import Case, Reading
from records.case_files import MOST_CASES, read_cases
from records.cleaning import Bounds, Cleaning
from records.dictionary import Dictionary, Field
from records.errors import CaseRefused, RecordsError
from records.outcomes import Two
from records.pictures import Image, encode_png

FIELDS = (
    Field("age", "a", 20, 90),
    Field("chol", "mg/dL", 100, 400),
    Field("dose", "mg", 0.5, 9.5),
)
WORDS = Dictionary("paper/1", FIELDS, Two("sick", "yes", "no"))
CLEANING = Cleaning("num", {"0": False, "1": True}, {"chol": Bounds(50, 900, zero_is_missing=True)})
STRICT, KIND = Reading(WORDS), Reading(WORDS, CLEANING)
XRAY = Dictionary("images/1", (Field("xray", "1", 0, 255, (2, 3)),), Two("sick", "yes", "no"))
SECRET = "77.125"  # stands for a patient's value: no error may show it

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(content: str | bytes, name: str = "case.csv") -> Path:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return to_file


def values(cases: list[Case]) -> list[tuple[object, ...]]:
    return [case.values for case in cases]


def test_rows_of_a_csv_are_read_in_order_whatever_the_order_of_its_columns(write: Write) -> None:
    found = read_cases(write("dose,age,chol\n2,63,233\n1.5,41, 204\n"), STRICT)
    assert values(found) == [(63, 233, 2), (41, 204, 1.5)]
    assert [case.imputed for case in found] == [(), ()]


def test_json_is_one_object_or_a_list(write: Write) -> None:
    one = {"age": 63, "chol": 233.5, "dose": 2}
    assert values(read_cases(write(json.dumps(one)), STRICT)) == [(63, 233.5, 2)]
    assert values(read_cases(write(json.dumps([one, one])), STRICT)) == [(63, 233.5, 2)] * 2


def test_the_patients_own_key_may_stand_there_and_is_read_as_such(write: Write) -> None:
    assert read_cases(write("patient,age,chol,dose\np7,63,233,2\n"), STRICT)[0].key == "p7"
    tree = {"patient": "p7", "age": 63, "chol": 233, "dose": 2}
    assert read_cases(write(json.dumps(tree)), STRICT)[0].key == "p7"


def test_what_is_missing_is_filled_by_the_cleanings_rule_and_named(write: Write) -> None:
    found = read_cases(write("age,chol,dose\n?,0,\n"), KIND)[0]
    assert found.values == (55, 250, 5)
    assert found.imputed == ("age", "chol", "dose")
    tree = {"age": None, "chol": 233, "dose": 2}
    assert read_cases(write(json.dumps(tree)), KIND)[0].imputed == ("age",)


def test_without_a_rule_what_is_missing_is_refused(write: Write) -> None:
    with pytest.raises(CaseRefused, match="chol is missing, and paper/1 has no rule"):
        read_cases(write("age,chol,dose\n63,,2\n"), STRICT)


BAD = [
    ("", "empty"),
    (" \n\n", "empty"),
    ("age,chol,dose\n", "a header and no row"),
    (f"age,chol\n63,{SECRET}\n", "header lacks dose"),
    (f"age,chol,dose,weight\n63,{SECRET},2,70\n", "1 columns that paper/1 does not know"),
    (f"{SECRET},233,2\n63,233,2\n", "lacks age, chol, dose"),
    (f"age,chol,dose,sick\n63,{SECRET},2,yes\n", "has sick, which is the answer"),
    (f"age,chol,dose,num\n63,{SECRET},2,1\n", "has num, which is the answer"),
    ("age,age,chol,dose\n63,63,233,2\n", "named twice"),
    (f"chol,age,dose\n63,{SECRET},2\n", "line 2: chol lies outside of 100 to 400 mg/dL"),
    (f"age,chol,dose\n{SECRET}x,233,2\n", "line 2: age is no number; write one in a"),
    (f"age,chol,dose\n63,233,2\n63,233,{SECRET}\n", "line 3: dose lies outside of 0.5 to 9.5 mg"),
    (f"age,chol,dose\n63,233,2,{SECRET}\n", "line 2: 4 cells, but 3 columns"),
    (f'age,chol,dose\n63,"{SECRET},2\n', "not CSV"),
    (b"age,chol,dose\n\xff\xfe\x00\x9f\n", "not UTF-8"),
    (b"age,chol,dose\n63,\x00,2\n", "chol is no number"),
    ("age,chol,dose\nnan,233,2\n", "age is no number"),
    ("age,chol,dose\n1e999,233,2\n", "age is no number"),
    (f'{{"age": 63, "chol": {SECRET}', "not JSON, or cut off"),
    (f'[{{"age": 63, "chol": {SECRET}, "dose": 2}}, ', "not JSON, or cut off"),
    (f'{{"age": 63, "chol": {SECRET}}}', "lacks dose; write null"),
    (f'{{"age": 63, "chol": 233, "dose": 2, "kg": {SECRET}}}', "1 columns that"),
    (f'{{"age": 63, "chol": 233, "dose": 2, "sick": "{SECRET}"}}', "has sick"),
    (f'{{"age": "{SECRET}", "chol": 233, "dose": 2}}', "age is no number"),
    ('{"age": true, "chol": 233, "dose": 2}', "age is no number"),
    ('{"age": NaN, "chol": 233, "dose": 2}', "a number that is none"),
    ('{"age": 63, "age": 64, "chol": 233, "dose": 2}', "a name twice"),
    ('{"age": ' + "9" * 400 + ', "chol": 233, "dose": 2}', "age is no number"),
    ('{"patient": 7, "age": 63, "chol": 233, "dose": 2}', "patient: text is expected"),
    ("[" * 1900, "not JSON|a name twice"),
    ("[" * 100_000, "not one object, nor a list of at most 1000"),
    ('{"age":' * 100_000, "not one object, nor a list of at most 1000"),
    ("[]", "empty list"),
    (f"[{SECRET}]", "case 1: not an object"),
    (b'{"age": "\xff"}', "not UTF-8"),
    (encode_png(Image((2, 3), bytes(6))), "a picture, but paper/1 has 3 fields"),
]


@pytest.mark.parametrize("reading", [STRICT, KIND], ids=["strict", "kind"])
@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_bad_case_is_one_error_that_says_what_and_where_and_shows_no_value(
    write: Write, content: str | bytes, said: str, reading: Reading
) -> None:
    if reading is STRICT and said.startswith("has num"):
        said = "1 columns that paper/1"  # nothing tells it that num is the answer
    path = write(content)
    with pytest.raises(RecordsError, match=said) as caught:
        read_cases(path, reading)
    shown = str(caught.value)
    assert str(path) in shown
    assert SECRET not in shown.replace(str(path), "")
    assert "\n" not in shown


def test_a_folder_and_a_file_that_is_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(CaseRefused, match="a folder; name the file"):
        read_cases(tmp_path, STRICT)
    with pytest.raises(CaseRefused, match="No such file or directory"):
        read_cases(tmp_path / "none.csv", STRICT)


def test_too_many_cases_are_refused(write: Write) -> None:
    rows = "63,233,2\n" * (MOST_CASES + 1)
    with pytest.raises(CaseRefused, match=f"{MOST_CASES + 1} cases; at most"):
        read_cases(write("age,chol,dose\n" + rows), STRICT)


def test_a_picture_of_the_studys_shape_is_read_as_it_is(write: Write) -> None:
    picture = Image((2, 3), bytes(range(6)))
    found = read_cases(write(encode_png(picture), "x.png"), Reading(XRAY))
    assert values(found) == [(picture.pixels,)]
    assert found[0].done == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no picture at all", "not a PNG file"),
        (b"age,chol\n1,2\n", "not a PNG file"),
        (encode_png(Image((3, 2), bytes(6))), "2 by 3 pixels, but the study reads 3 by 2.*--fit"),
        (encode_png(Image((2, 3), bytes(6)))[:-15], "cut short"),
    ],
)
def test_what_is_no_picture_of_the_study_is_refused(
    write: Write, content: bytes, said: str
) -> None:
    with pytest.raises(CaseRefused, match=said) as caught:
        read_cases(write(content, "x.png"), Reading(XRAY))
    assert "x.png" in str(caught.value)


def test_a_larger_picture_is_scaled_on_demand_and_that_is_said(write: Write) -> None:
    path = write(encode_png(Image((20, 30), bytes([7] * 600))), "x.png")
    found = read_cases(path, Reading(XRAY, fit=True))[0]
    assert found.values == (bytes([7] * 6),)
    assert "it was 30 by 20 pixels" in found.done


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_case_or_one_foreseen_error(write: Write, data: bytes) -> None:
    for reading in (STRICT, KIND, Reading(XRAY), Reading(XRAY, fit=True)):
        try:
            found = read_cases(write(data), reading)
        except RecordsError:
            continue  # foreseen
        assert found


def test_a_repr_shows_no_value() -> None:
    assert SECRET not in repr(Case((float(SECRET),)))
