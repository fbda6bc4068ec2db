"""A dictionary of two fields and a writer of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from records.dictionary import Dictionary, Field
from records.outcomes import Two

Writer = Callable[..., Path]


@pytest.fixture
def dictionary() -> Dictionary:
    return Dictionary(
        name="paper/1",
        fields=(Field("age", "a", 0.0, 120.0), Field("dose", "mg", -4.0, 4.0)),
        outcome=Two("outcome", "yes", "no"),
    )


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def writer(*lines: str, header: str = "patient,age,dose,outcome") -> Path:
        path = tmp_path / "records.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return writer
