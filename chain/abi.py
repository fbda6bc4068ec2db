"""Encodes calls and decodes answers, events and errors, by the ABI of the committed artifacts."""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from typing import Any, TypeVar

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from chain import artifacts
from chain.keccak import keccak
from chain.types import Json, Log
from chain.words import encode

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One function, event or error of an ABI."""

    name: str
    inputs: tuple[Json, ...]
    outputs: tuple[Json, ...]

    @functools.cached_property
    def signature(self) -> str:
        """Canonical form, as in "transfer(address,uint256)"."""
        return f"{self.name}({','.join(_types(self.inputs))})"

    @functools.cached_property
    def hash(self) -> bytes:
        """keccak256 of the signature: topic of an event; its first four bytes the selector."""
        return keccak(self.signature.encode())


class Abi:
    """The ABI of one contract."""

    def __init__(self, name: str) -> None:
        self.name = name
        entries = artifacts.load(name).abi
        self.functions = {e.name: e for e in _entries(entries, "function")}
        self.events = {e.name: e for e in _entries(entries, "event")}
        self.errors = {e.name: e for e in _entries(entries, "error")}

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Selector and arguments; dataclasses stand for structs, enumerations for numbers."""
        entry = self.functions[function]
        return entry.hash[:4] + encode(_types(entry.inputs), [to_abi(a) for a in arguments])

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Values that a function returned; addresses with their checksums."""
        return _decode(self.functions[function].outputs, data)

    def decode_event(self, kind: type[T], log: Log) -> T:
        """A log as the dataclass of its event, which ends with block, log_index, transaction."""
        inputs = self.events[kind.__name__].inputs
        topics = iter(log.topics[1:])
        others = iter(_decode([i for i in inputs if not i["indexed"]], log.data))
        values = [_decode([i], next(topics))[0] if i["indexed"] else next(others) for i in inputs]
        return from_abi(kind, (*values, log.block, log.log_index, log.transaction))

    def topics(self, event: str, wanted: Json) -> list[str | None]:
        """The filter for logs of one event, by snake_case names of indexed parameters."""
        entry = self.events[event]
        indexed = [i for i in entry.inputs if i["indexed"]]
        unknown = wanted.keys() - {snake(i["name"]) for i in indexed}
        if unknown:
            raise TypeError(f"{self.name}.{event} has no indexed {', '.join(sorted(unknown))}")
        found: list[str | None] = ["0x" + entry.hash.hex()]
        for item in indexed:
            value = wanted.get(snake(item["name"]))
            found.append(None if value is None else "0x" + encode([item["type"]], [value]).hex())
        return found


def to_abi(value: Any) -> Any:
    """A value as eth-abi takes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return tuple([to_abi(getattr(value, name)) for name in _names(type(value))])
    if isinstance(value, list | tuple):
        return [to_abi(item) for item in value]
    return value


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def from_abi(kind: type[T], value: Any) -> T:
    """A decoded value as the type given: a dataclass from its struct's values, in order."""
    convert: Callable[[Any], T] = _converter(typing.cast(Any, kind))
    return convert(value)


def decode_error(data: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of what a contract reverted with; "Unknown" for what no ABI names."""
    entry = _errors().get(data[:4])
    if entry is None:
        return ("Reverted", {}) if not data else ("Unknown", {"data": data})
    try:
        values = _decode(entry.inputs, data[4:])
    except DecodingError:
        return "Unknown", {"data": data}
    names = [snake(i["name"]) for i in entry.inputs]
    return entry.name, dict(zip(names, values, strict=True))


@functools.cache
def load(name: str) -> Abi:
    """The ABI of one contract, read once."""
    return Abi(name)


def snake(name: str) -> str:
    """camelCase → snake_case, as Python names every parameter and method."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().rstrip("_")


def _entries(entries: Sequence[Json], kind: str) -> list[Entry]:
    return [
        Entry(e["name"], tuple(e["inputs"]), tuple(e.get("outputs", ())))
        for e in entries
        if e["type"] == kind
    ]


def _types(parameters: Sequence[Json]) -> list[str]:
    return [_type(parameter) for parameter in parameters]


def _type(parameter: Json) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        # solc writes the enumeration's own kind where an error of a library has one.
        return "uint8" if kind == "enum" else kind
    return f"({','.join(_types(parameter['components']))}){kind.removeprefix('tuple')}"


@functools.cache
def _errors() -> dict[bytes, Entry]:
    known: list[Json] = [
        {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
        {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
    for name in artifacts.names():
        known += artifacts.load(name).abi
    return {entry.hash[:4]: entry for entry in _entries(known, "error")}


@functools.cache
def _converter(kind: Any) -> Callable[[Any], Any]:
    """How a decoded value becomes a value of this type."""
    if typing.get_origin(kind) is tuple:
        inner = _converter(typing.get_args(kind)[0])
        return lambda values: tuple(inner(value) for value in values)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return kind
    if is_dataclass(kind):
        return _builder(kind)
    return lambda value: value


def _builder(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    converters = [_converter(hints[field.name]) for field in fields(kind)]

    def build(values: Sequence[Any]) -> Any:
        pairs = zip(converters, values, strict=True)
        return kind(*(convert(value) for convert, value in pairs))

    return build


def _decode(parameters: Sequence[Json], data: bytes) -> tuple[Any, ...]:
    values = decode(_types(parameters), data)
    return tuple(_checksummed(p, v) for p, v in zip(parameters, values, strict=True))


def _checksummed(parameter: Json, value: Any) -> Any:
    """eth-abi gives addresses in lower case; here every address has its checksum."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        inner = {**parameter, "type": kind[: kind.rindex("[")]}
        return tuple(_checksummed(inner, item) for item in value)
    if kind == "tuple":
        pairs = zip(parameter["components"], value, strict=True)
        return tuple(_checksummed(inner, item) for inner, item in pairs)
    return _checksum(value) if kind == "address" else value


@functools.lru_cache(4096)
def _checksum(address: str) -> str:
    return to_checksum_address(address)
