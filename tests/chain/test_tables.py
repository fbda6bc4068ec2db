"""The index's own decoder says of every event what eth-abi says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from chain import abi
from chain.tables import CONTRACTS, EventTable, tables

EVENTS = [(name, event) for name in CONTRACTS for event in abi.load(name).events]
BLOCK = {"blockNumber": "0x7", "logIndex": "0x2", "transactionHash": "0x" + "ab" * 32}


def word(kind: str, source: random.Random) -> Any:
    """A value of a type; of numbers those that a contract counts are small."""
    if kind.endswith("[]"):
        return [word(kind[:-2], source) for _ in range(source.randrange(4))]
    if kind == "address":
        return "0x" + source.randbytes(20).hex()
    if kind == "bytes32":
        return source.randbytes(32)
    if kind == "bool":
        return source.random() < 0.5
    bits = int(kind.removeprefix("uint"))
    return source.randrange(1 << min(bits, source.choice([8, 40])))


def values(parameters: Any, source: random.Random) -> list[Any]:
    return [
        tuple(word(inner["type"], source) for inner in item["components"])
        if item["type"] == "tuple"
        else word(item["type"], source)
        for item in parameters
    ]


def shown(value: Any) -> Any:
    """A value as tests compare it: bytes, and numbers as text."""
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if isinstance(value, list | tuple):
        return ["0x" + encode(["bytes32" if isinstance(x, bytes) else "address"], [x]).hex()
                for x in value]  # fmt: skip
    return str(int(value)) if isinstance(value, int | bool) else value


def flat(parameters: Any, found: Any) -> list[Any]:
    flattened: list[Any] = []
    for item, value in zip(parameters, found, strict=True):
        flattened += map(shown, value) if item["type"] == "tuple" else [shown(value)]
    return flattened


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, str], EventTable]:
    return tables()[1]


@pytest.mark.parametrize(("contract", "event"), EVENTS)
def test_a_log_is_decoded_as_eth_abi_decodes_it(
    contract: str, event: str, known: dict[tuple[str, str], EventTable]
) -> None:
    entry = abi.load(contract).events[event]
    indexed = [item for item in entry.inputs if item["indexed"]]
    others = [item for item in entry.inputs if not item["indexed"]]
    table = known[contract, "0x" + entry.hash.hex()]
    source = random.Random(f"{contract}.{event}")
    for _ in range(5):
        topics, data = values(indexed, source), values(others, source)
        kinds = [abi._type(item) for item in others]
        encoded = encode(kinds, data)
        words = [encode([i["type"]], [v]).hex() for i, v in zip(indexed, topics, strict=True)]
        log = {
            **BLOCK,
            "topics": [table.topic, *("0x" + item for item in words)],
            "data": "0x" + encoded.hex(),
        }
        rows = table.rows(log)
        if (contract, event) == ("Consents", "Granted"):
            ids = data[0]
            wanted = [[*map(shown, topics), item] for item in ids]
            assert [row[2] for row in rows] == list(range(len(ids)))
            assert [[row[4], row[5], row[6]] for row in rows] == [
                [int(topics[0]), *item[1:]] for item in wanted
            ]
            continue
        (row,) = rows
        assert row[:3] == (7, 2, b"\xab" * 32)
        answers = iter(decode(kinds, encoded))
        given = iter(topics)
        both = [next(given) if item["indexed"] else next(answers) for item in entry.inputs]
        assert [
            json.loads(value) if isinstance(value, str) and value.startswith("[") else shown(value)
            for value in row[3:]
        ] == flat(entry.inputs, both)
        assert len(row) == len(table.table.columns)
