"""Frozen dataclasses ↔ plain trees, strictly: one unknown, missing or mistyped key is one error.

Two forms of a tree exist. The *canonical* form is what is hashed: every key is present, amounts are
32 bytes and addresses 20. The *text* form is what people write as TOML or JSON: keys with a default
may be left out, amounts are decimal text, addresses are 0x text, and a whole number may stand for a
float. What may be absent (`X | None = None`) is left out of both forms when it is: a document that
does not use a newer key has the bytes, and the digest, that it had before the key existed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, NewType, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from chain.types import Wei
from federated.canonical import Value, wei_bytes
from federated.errors import SpecError

Address = NewType("Address", str)
"""0x and 40 hexadecimal digits, lower case."""

Config: TypeAlias = dict[str, Any]
"""Settings that a model family or strategy checks itself."""

T = TypeVar("T")


class Form(Enum):
    """Which of the two forms a tree has."""

    CANONICAL = "canonical"
    TEXT = "text"


def to_tree(value: Any, kind: Any, form: Form) -> Value:
    """The tree of a dataclass `kind`, or of anything that one of its fields may hold."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        held = {f.name: getattr(value, f.name) for f in fields(kind)}
        absent = {f.name for f in fields(kind) if f.default is None and held[f.name] is None}
        return {
            name: to_tree(item, hints[name], form)
            for name, item in held.items()
            if name not in absent
        }
    if get_origin(kind) is tuple:
        return [to_tree(item, get_args(kind)[0], form) for item in value]
    if isinstance(kind, UnionType):
        return None if value is None else to_tree(value, get_args(kind)[0], form)
    if kind is Wei:
        return wei_bytes(value) if form is Form.CANONICAL else str(value)
    if kind is Address:
        return bytes.fromhex(value[2:]) if form is Form.CANONICAL else value
    return value


def from_tree(cls: type[T], tree: Value, form: Form) -> T:
    """Read a dataclass from its tree. Raises `SpecError` that names the key."""
    result: T = _read(cls, tree, "", form)
    return result


def _read(kind: Any, tree: Value, path: str, form: Form) -> Any:
    if is_dataclass(kind):
        return _section(kind, tree, path, form)
    if get_origin(kind) is tuple:
        if not isinstance(tree, list):
            raise _mistyped(path, "a list", tree)
        item = get_args(kind)[0]
        return tuple(_read(item, part, f"{path}[{i}]", form) for i, part in enumerate(tree))
    if isinstance(kind, UnionType):  # X | None
        return None if tree is None else _read(get_args(kind)[0], tree, path, form)
    if kind is Wei:
        return _wei(tree, path, form)
    if kind is Address:
        return _address(tree, path, form)
    return _scalar(kind, tree, path, form)


def _section(kind: Any, tree: Value, path: str, form: Form) -> Any:
    if not isinstance(tree, Mapping):
        raise _mistyped(path or "(top)", "a table", tree)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}
    for key in tree:
        if key not in known:
            choices = ", ".join(known)
            raise SpecError(_join(path, str(key)[:60]), f"unknown key; known here: {choices}")
    hints = get_type_hints(kind)
    values = {}
    for name, item in known.items():
        if name in tree:
            if form is Form.CANONICAL and tree[name] is None and item.default is None:
                raise SpecError(_join(path, name), "leave the key out where it says nothing")
            values[name] = _read(hints[name], tree[name], _join(path, name), form)
        elif item.default is None:
            continue
        elif form is Form.CANONICAL or (item.default, item.default_factory) == (MISSING, MISSING):
            raise SpecError(_join(path, name), "missing key; add it")
    return kind(**values)


def _scalar(kind: Any, tree: Value, path: str, form: Form) -> Any:
    if kind is float:
        if form is Form.TEXT and isinstance(tree, int) and not isinstance(tree, bool):
            tree = float(tree)
        if not isinstance(tree, float) or not math.isfinite(tree):
            raise _mistyped(path, "a finite number", tree)
        return tree
    if kind is Config or get_origin(kind) is dict:
        if not isinstance(tree, Mapping):
            raise _mistyped(path, "a table", tree)
        return dict(tree)
    if not isinstance(tree, kind) or (isinstance(tree, bool) and kind is not bool):
        raise _mistyped(
            path, {str: "text", int: "a whole number", bool: "true or false"}[kind], tree
        )
    return tree


def _wei(tree: Value, path: str, form: Form) -> Wei:
    if form is Form.CANONICAL and isinstance(tree, bytes) and len(tree) == 32:
        return Wei(int.from_bytes(tree, "big"))
    if form is Form.TEXT and isinstance(tree, str) and re.fullmatch("0|[1-9][0-9]{0,77}", tree):
        if (amount := int(tree)) < 1 << 256:
            return Wei(amount)
        raise SpecError(path, "the amount does not fit 256 bits")
    wanted = "32 bytes" if form is Form.CANONICAL else 'an amount as decimal text, such as "1000"'
    raise _mistyped(path, wanted, tree)


def _address(tree: Value, path: str, form: Form) -> Address:
    if form is Form.CANONICAL and isinstance(tree, bytes) and len(tree) == 20:
        return Address("0x" + tree.hex())
    if form is Form.TEXT and isinstance(tree, str) and re.fullmatch("0x[0-9a-fA-F]{40}", tree):
        return Address(tree.lower())
    wanted = "20 bytes" if form is Form.CANONICAL else "0x and 40 hexadecimal digits"
    raise _mistyped(path, wanted, tree)


def _mistyped(path: str, wanted: str, got: Value) -> SpecError:
    return SpecError(path, f"{wanted} is expected, not {type(got).__name__}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
