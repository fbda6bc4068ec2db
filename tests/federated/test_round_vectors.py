"""Draws and late updates as docs/protocol.md tells them, in plain Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.federated.test_protocol_vectors import FOLDER, LEARNING, H, cbor, sha, tagged

FILE = json.loads((Path(FOLDER) / "rounds.json").read_text())
Row = dict[str, Any]


def test_a_spec_that_draws_and_takes_late_updates_says_so_in_sections_of_its_own() -> None:
    data, without = H(FILE["spec"]["bytes"]), H(LEARNING["spec"]["bytes"])
    sections = [
        cbor("late") + cbor({"most": 2, "rule": "next-round"}),
        cbor("sampling") + cbor({"hospitals": 2}),
    ]
    for section in sections:
        assert section in data
        assert section not in without
    assert len(data) == len(without) + sum(map(len, sections))
    assert FILE["spec"]["digest"] == sha(data).hex()


def test_those_with_the_lowest_lots_are_drawn() -> None:
    for row in FILE["draw"]:
        pool, place = int(row["pool"], 16), H(row["rounds"][2:])
        head = (row["chain_id"], place, row["study"], row["number"], row["seed"])
        lots = [
            (tagged("consilium/draw/1", *head, H(row["block_hash"]), index), index)
            for index in range(256)
            if pool >> index & 1
        ]
        drawn = [index for _, index in sorted(lots)[: row["hospitals"]]]
        assert int(row["drawn"], 16) == sum(1 << index for index in drawn)


def test_a_draws_number_and_block_follow_from_the_rounds_before() -> None:
    for row in FILE["history"]:
        ends = "".join(row["ends"])
        counted = ends.rstrip("a")
        assert row["number"] == len(counted) + 1
        assert row["finalized"] == counted.rfind("f") + 1
    numbers = {"".join(row["ends"]): row["number"] for row in FILE["history"]}
    assert numbers["f"] == numbers["fa"] == numbers["faa"] < numbers["fl"]


def fitting(row: Row) -> list[tuple[int, int]]:
    """(Round, staleness) of every context that the last round's update may have."""
    rounds: dict[int, Row] = dict(enumerate(row["rounds"], start=1))
    last = len(rounds)
    found = [(last, 0)]
    for number in range(last - 1, 0, -1):
        if any(rounds[place]["submitted"] for place in range(number, last)):
            continue
        if rounds[number]["root"] != rounds[last]["root"]:
            continue
        start, steps = rounds[last]["parent"], 0
        while start != rounds[number]["parent"] and start:
            start, steps = rounds[start]["parent"], steps + 1
        if start == rounds[number]["parent"] and steps <= row["most"]:
            found.append((number, steps))
    return found


def test_a_late_update_fits_where_the_page_says_and_has_the_context_of_its_round() -> None:
    spec = H(LEARNING["spec"]["digest"])
    lengths = set()
    for row in FILE["late"]:
        assert [(x["round"], x["staleness"]) for x in row["fit"]] == fitting(row), row["name"]
        lengths.add(len(row["fit"]))
        for fit in row["fit"]:
            past = row["rounds"][fit["round"] - 1]
            place = (31337, bytes([0xD1]) * 20, 7, fit["round"])
            parts = (*place, spec, H(past["start_state"]), H(past["root"]))
            assert fit["context"] == tagged("consilium/context/1", *parts).hex()
    assert lengths == {1, 2, 3}


def test_a_late_weight_is_divided_by_one_more_than_its_staleness() -> None:
    for weight, staleness, counts in FILE["weights"]:
        assert counts == max(1, weight // (1 + staleness))
