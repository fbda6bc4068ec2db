"""Every command of `consilium`, found by walking its groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.cli.main import COMMANDS, command

Path = tuple[str, ...]


def walk(found: Any | None = None, path: Path = ("consilium",)) -> Iterator[tuple[Path, Any]]:
    """Paths and commands, groups included."""
    found = found or command()
    yield path, found
    names = list(COMMANDS) if path == ("consilium",) else list(getattr(found, "commands", {}))
    for name in names:
        yield from walk(found.get_command(None, name), (*path, name))


def leaves() -> list[Path]:
    """Paths of the commands that do something."""
    return [path for path, found in walk() if len(path) > 1 and not getattr(found, "commands", {})]
