"""The tables of the index: one for each event of the contracts, made from their ABIs.

A table is named contract_event in snake case, as in rounds_frozen, and has the event's parameters
as columns after `block`, `log_index` and `transaction_hash`; a struct's fields are prefixed with
the parameter's name. The ids of a batch of grants are a row each. Nothing is ever updated, so that
a reorganisation is undone by deleting what is above a block.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chain import abi
from chain.errors import LogsDisagree
from chain.types import Json

CONTRACTS = (
    *("Participants", "Studies", "Agreements", "Consents"),
    *("Rounds", "Challenges", "Escrow", "Attestations"),
)
# The contracts count these. Whatever else has 64 bits or more may be anybody's number, and exceed
# a database's integers: it is kept as text.
_COUNTED = {"study", "round", "agreement", "hospital", "index", "parent", "votes"}
_SMALL_BITS = 56
_BATCHES = {("Consents", "Granted"): "id"}

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """A column, and where in a log its value is: a topic, or a slice of the data's digits.

    `value` reads the 64 digits there, or all of the data where the ABI points to another place.
    """

    name: str
    kind: sa.types.TypeEngine[Any]
    value: Callable[[str], Any]
    topic: int
    start: int
    end: int | None


@dataclass(frozen=True)
class EventTable:
    """One event's table; `rows` decodes a log, as JSON-RPC gives it, into its rows."""

    table: sa.Table
    topic: str
    rows: Callable[[Json], list[Row]]


def tables() -> tuple[sa.MetaData, dict[tuple[str, str], EventTable]]:
    """The schema, and the events by contract and first topic."""
    metadata = sa.MetaData()
    found: dict[tuple[str, str], EventTable] = {}
    for contract in CONTRACTS:
        for entry in abi.load(contract).events.values():
            table = _event_table(metadata, contract, entry)
            found[contract, table.topic] = table
    return metadata, found


def fingerprint() -> str:
    """Changes with any event of the contracts: an index of other events is made anew."""
    events = {
        contract: {name: entry.inputs for name, entry in abi.load(contract).events.items()}
        for contract in CONTRACTS
    }
    return hashlib.sha256(json.dumps(events, sort_keys=True).encode()).hexdigest()


def _event_table(metadata: sa.MetaData, contract: str, entry: abi.Entry) -> EventTable:
    batch = _BATCHES.get((contract, entry.name))
    columns = list(_columns(entry.inputs, batch))
    key = ["block", "log_index", *(["place"] if batch else [])]
    table = sa.Table(
        f"{abi.snake(contract)}_{abi.snake(entry.name)}",
        metadata,
        *(sa.Column(x, sa.BigInteger, primary_key=True, autoincrement=False) for x in key),
        sa.Column("transaction_hash", sa.LargeBinary, nullable=False),
        *(sa.Column(x.name, x.kind, nullable=False, index=x.name == "id") for x in columns),
        sqlite_with_rowid=False,
    )
    topics = max(column.topic for column in columns) + 1 if columns else 1
    heads = max((column.end or 66 for column in columns if not column.topic), default=2)
    rows = functools.partial(_rows, columns, topics, heads)
    if batch:
        rows = functools.partial(_batch_rows, columns, topics)
    return EventTable(table, "0x" + entry.hash.hex(), rows)


def _columns(inputs: Sequence[Json], batch: str | None) -> Iterator[Column]:
    topic, head = 0, 0
    for item in inputs:
        for name, kind in _parts(item, batch):
            if item["indexed"]:
                topic += 1
                yield _column(name, kind, topic, 0)
            else:
                yield _column(name, kind, 0, 2 + 64 * head)
                head += 1


def _parts(item: Json, batch: str | None) -> Iterator[tuple[str, str]]:
    """Name and type of a parameter, or of each field of a struct."""
    name = abi.snake(item["name"])
    if item["type"] == "tuple":
        for inner in item["components"]:
            yield f"{name}_{abi.snake(inner['name'])}", inner["type"]
    elif batch and item["type"] == "bytes32[]":
        yield batch, "bytes32"
    else:
        yield name, item["type"]


def _column(name: str, kind: str, topic: int, start: int) -> Column:
    if kind.endswith("[]"):
        return Column(name, sa.String(), functools.partial(_listed, start), topic, 0, None)
    if kind in ("string", "bytes"):
        return Column(name, sa.LargeBinary(), functools.partial(_bytes, start), topic, 0, None)
    sql, value = _WORDS.get(kind) or _number(name, kind)
    return Column(name, sql, value, topic, start, start + 64)


def _number(name: str, kind: str) -> tuple[sa.types.TypeEngine[Any], Callable[[str], Any]]:
    bits = int(kind.removeprefix("uint"))
    if bits <= _SMALL_BITS or name.rsplit("_", 1)[-1] in _COUNTED:
        return sa.BigInteger(), _integer
    return sa.String(), _decimal


def _integer(word: str) -> int:
    if (found := int(word, 16)) >> 63:
        raise LogsDisagree("a log counts beyond 2^63: the node is not to be trusted, ask another")
    return found


def _decimal(word: str) -> str:
    return str(int(word, 16))


def _flag(word: str) -> bool:
    return word[-1] == "1"


def _address(word: str) -> bytes:
    return bytes.fromhex(word[24:])


_WORDS: dict[str, tuple[sa.types.TypeEngine[Any], Callable[[str], Any]]] = {
    "address": (sa.LargeBinary(20), _address),
    "bool": (sa.Boolean(), _flag),
    "bytes32": (sa.LargeBinary(32), bytes.fromhex),
}


def _tail(start: int, data: str) -> tuple[int, int]:
    """Where the dynamic part that a head points to begins, after its length, and that length."""
    at = 2 + 2 * int(data[start : start + 64], 16)
    length = int(data[at : at + 64], 16)
    if len(data) < at + 64 + 2 * length:
        raise LogsDisagree("a log ends before its list does: ask another node")
    return at + 64, length


def _listed(start: int, data: str) -> str:
    """The words of a list, as JSON."""
    at, length = _tail(start, data)
    if len(data) < at + 64 * length:
        raise LogsDisagree("a log ends before its list does: ask another node")
    return json.dumps(["0x" + data[x : x + 64] for x in range(at, at + 64 * length, 64)])


def _bytes(start: int, data: str) -> bytes:
    at, length = _tail(start, data)
    return bytes.fromhex(data[at : at + 2 * length])


def _rows(columns: Sequence[Column], topics: int, heads: int, raw: Json) -> list[Row]:
    words, data = raw["topics"], raw["data"]
    if len(words) != topics or len(data) < heads:
        raise LogsDisagree("a log is shorter than its event: ask another node")
    values = [x.value(words[x.topic][2:] if x.topic else data[x.start : x.end]) for x in columns]
    return [(*_place(raw), *values)]


def _batch_rows(columns: Sequence[Column], topics: int, raw: Json) -> list[Row]:
    """A row for each element of the one list, which is all that the data hold."""
    words, data = raw["topics"], raw["data"]
    block, index, transaction = _place(raw)
    at, length = _tail(2, data)
    if len(words) != topics or len(data) < at + 64 * length:
        raise LogsDisagree("a log is shorter than its event: ask another node")
    same = [x.value(words[x.topic][2:]) for x in columns if x.topic]
    ids = bytes.fromhex(data[at : at + 64 * length])
    return [
        (block, index, place, transaction, *same, ids[32 * place : 32 * place + 32])
        for place in range(length)
    ]


def _place(raw: Json) -> tuple[int, int, bytes]:
    return (
        int(raw["blockNumber"], 16),
        int(raw["logIndex"], 16),
        bytes.fromhex(raw["transactionHash"][2:]),
    )
