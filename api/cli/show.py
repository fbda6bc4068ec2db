"""What a command shows: results on stdout, warnings on stderr, tables for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 200  # what is piped into another program is not cut to a screen


def group(text: str) -> typer.Typer:
    """A group of commands; `text` is its help, with an example."""
    return typer.Typer(help=text, rich_markup_mode=None, no_args_is_help=True, add_completion=False)


def say(text: str) -> None:
    """One line of results."""
    typer.echo(text)
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line that the reader should act on."""
    typer.echo(f"consilium: warning: {text}", err=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows in columns."""
    shown = Table(*columns, title=title, title_justify="left")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    Console(width=width, markup=False, highlight=False).print(shown)


def pairs(items: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line."""
    rows = [(name, str(value)) for name, value in items]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name.ljust(width)}  {value}")


def json_object(tree: Any) -> None:
    """One JSON object."""
    typer.echo(json.dumps(tree, indent=1, ensure_ascii=False))


def write_file(path: Path, text: str) -> None:
    """A new file (mode 600), whole or not at all; what is there is replaced."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
