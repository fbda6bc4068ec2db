"""Checks of a family's settings, and the shapes of layers. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from federated.codec import Config
from federated.errors import SpecError
from federated.families.base import Shapes


def keys(config: Config, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raise `SpecError` unless all that is needed is set, and nothing that is not known."""
    for key in config:
        if key not in (*needed, *optional):
            choices = ", ".join((*needed, *optional)) or "none"
            raise SpecError(f"model.config.{key[:40]}", f"unknown setting; known: {choices}")
    for key in needed:
        if key not in config:
            raise SpecError(f"model.config.{key}", "missing setting; add it")


def sizes(config: Config, key: str, most: int) -> list[int]:
    """A list of 1 to `most` sizes."""
    found: Any = config[key]
    if not isinstance(found, list | tuple) or not 1 <= len(found) <= most:
        raise SpecError(f"model.config.{key}", f"a list of 1 to {most} sizes is expected")
    if any(type(size) is not int or not 1 <= size <= 65536 for size in found):
        raise SpecError(f"model.config.{key}", "sizes are whole numbers from 1 to 65536")
    return list(found)


def whole(config: Config, key: str, most: int) -> int:
    """A whole number from 1 to `most`."""
    value: Any = config[key]
    if type(value) is not int or not 1 <= value <= most:
        raise SpecError(f"model.config.{key}", f"a whole number from 1 to {most} is expected")
    return value


def flag(config: Config, key: str) -> bool:
    """True or false; false where it is not set."""
    value: Any = config.get(key, False)
    if type(value) is not bool:
        raise SpecError(f"model.config.{key}", "true or false is expected")
    return value


def word(config: Config, key: str, known: tuple[str, ...]) -> str:
    """One of the words that are known; empty where it is not set."""
    value: Any = config.get(key, "")
    if key in config and value not in known:
        raise SpecError(f"model.config.{key}", f"{' or '.join(known)} is expected")
    return str(value)


def groups(config: Config, channels: Sequence[int]) -> int:
    """Of how many groups of channels each is normalised by itself; 0 where none is set."""
    if "groups" not in config:
        return 0
    if config.get("normalise") == "batch":
        raise SpecError("model.config.groups", "batch normalisation has none; leave it out")
    found = whole(config, "groups", 65536)
    if any(size % found for size in channels):
        raise SpecError("model.config.groups", "a number that divides every size in channels")
    return found


def dense(name: str, fan_in: int, fan_out: int) -> Shapes:
    """A layer that sums all inputs."""
    return {f"{name}.weight": (fan_out, fan_in), f"{name}.bias": (fan_out,)}


def norm(name: str, width: int, *, batch: bool) -> Shapes:
    """A layer that normalises; its gain is kept as the distance from 1."""
    parts = ("gain", "bias", "mean", "variance") if batch else ("gain", "bias")
    return {f"{name}.{part}": (width,) for part in parts}
