"""What people write and read: amounts, moments, addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.values import address, amount, moment, tokens, when
from api.errors import ApiError

CHECKSUMMED = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@given(st.integers(0, 10**60), st.integers(0, 36))
def test_an_amount_is_read_as_it_was_shown(units: int, decimals: int) -> None:
    assert amount(tokens(units, decimals).replace(",", ""), decimals) == units


@pytest.mark.parametrize(
    ("text", "units"), [("12.5", 12_500_000), ("0", 0), ("7wei", 7), ("1e3", 10**9)]
)
def test_amounts_are_whole_smallest_units(text: str, units: int) -> None:
    assert amount(text, 6) == units


@pytest.mark.parametrize("text", ["", "abc", "-1", "0.0000001", "1.5wei", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match=r"amount|negative"):
        amount(text, 6)


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("+90d", 100 + 90 * 86400),
        ("+5m", 400),
        ("1801353600", 1801353600),
        ("2027-01-31", 1801353600),
        ("2027-01-31T02:00:00+02:00", 1801353600),
    ],
)
def test_moments_are_seconds_of_the_chain(text: str, second: int) -> None:
    assert moment(text, 100) == second


@pytest.mark.parametrize("text", ["", "soon", "+5y", "-5d", "2027-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="no time"):
        moment(text, 100)


def test_a_moment_is_shown_in_utc() -> None:
    assert when(1801353600) == "2027-01-31 00:00:00"


def test_an_address_is_taken_with_its_checksum() -> None:
    assert address(CHECKSUMMED) == CHECKSUMMED
    assert address(CHECKSUMMED.lower()) == CHECKSUMMED


def test_a_mistyped_address_is_refused() -> None:
    with pytest.raises(ApiError, match="mistyped"):
        address(CHECKSUMMED.replace("C8", "c8"))


def test_an_account_is_read_from_its_file(tmp_path: Path) -> None:
    card = tmp_path / "participant.json"
    card.write_text(json.dumps({"name": "north", "role": "hospital", "address": CHECKSUMMED}))
    assert address(str(card)) == CHECKSUMMED


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"address": 5}'])
def test_a_file_that_names_no_account_is_refused(tmp_path: Path, text: str) -> None:
    card = tmp_path / "participant.json"
    card.write_text(text)
    with pytest.raises(ApiError, match=r"no participant\.json"):
        address(str(card))
