"""Tasks as docs/protocol.md tells them, in plain Python."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.federated.test_protocol_vectors import FOLDER, H, cbor, sha

FILE = json.loads((Path(FOLDER) / "tasks.json").read_text())
Row = dict[str, Any]


def test_a_spec_holds_just_the_keys_of_its_task() -> None:
    for task, row in FILE.items():
        data = H(row["spec"]["bytes"])
        assert cbor("label") + cbor(row["label"]) in data, task
        assert cbor("task") + cbor(task) in data
        assert sha(data).hex() == row["spec"]["digest"]


def test_a_records_digest_is_over_its_label_in_words_and_numbers() -> None:
    for row in FILE.values():
        for place, record in enumerate(row["records"]):
            content = {
                "format": "consilium/patient-record/1",
                "dictionary": "paper/1",
                "key": record["key"],
                "values": {"age": 50.0 + place},
                "label": record["label"],
            }
            assert sha(cbor(content)).hex() == record["digest"]


def _binary(row: Row) -> tuple[list[Any], list[float]]:
    chances = [1 / (1 + math.exp(-z)) for z in row["outputs"]]
    pairs = zip(chances, row["labels"], strict=True)
    return chances, [-math.log(p if y else 1 - p) for p, y in pairs]


def _multiclass(row: Row) -> tuple[list[Any], list[float]]:
    chances = [[math.exp(z) / sum(map(math.exp, out)) for z in out] for out in row["outputs"]]
    pairs = zip(chances, row["labels"], strict=True)
    return chances, [-math.log(found[int(y)]) for found, y in pairs]


def _regression(row: Row) -> tuple[list[Any], list[float]]:
    low, high = row["label"]["minimum"], row["label"]["maximum"]
    middle, quarter = (low + high) / 2, (high - low) / 4
    wanted = [(y - middle) / quarter for y in row["labels"]]
    losses = [(z - y) ** 2 for z, y in zip(row["outputs"], wanted, strict=True)]
    return [z * quarter + middle for z in row["outputs"]], losses


def _survival(row: Row) -> tuple[list[Any], list[float]]:
    people = list(zip(row["labels"], row["outputs"], strict=True))
    return row["outputs"], [
        (math.log(sum(math.exp(z) for (t, _), z in people if t >= time)) - risk) * event
        for (time, event), risk in people
    ]


MADE: dict[str, Callable[[Row], tuple[list[Any], list[float]]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
    "survival": _survival,
}


@pytest.mark.parametrize("task", list(MADE))
def test_outputs_are_read_and_lose_as_the_page_says(task: str) -> None:
    assert list(FILE) == list(MADE)
    row = FILE[task]
    predicted, losses = MADE[task](row)
    for found, wanted in zip(row["predicted"], predicted, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)
    assert row["loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-12)
