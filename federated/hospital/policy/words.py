"""The rules in words: a policy.toml of the defaults, and the table of docs/policy.md."""

from __future__ import annotations

import textwrap
from dataclasses import fields

from federated.hospital.policy.policy import Policy

_COLUMNS = ("Rule", "Default", "Demands", "Because")


def defaults_toml() -> str:
    """A policy.toml of the defaults, each rule with what it demands and why."""
    lines = ["# What studies may ask of this hospital; a rule left out has its default.", ""]
    for item in fields(Policy):
        for text in (f"{item.metadata['says']}.", f"Because: {item.metadata['why']}."):
            lines += [f"# {line}" for line in textwrap.wrap(text, 96)]
        if isinstance(item.default, int):
            lines += [f"{item.name} = {item.default}", ""]
        else:
            lines += [f"# {item.name} = {item.metadata['example']}", ""]
    return "\n".join(lines[:-1]) + "\n"


def render_table() -> str:
    """Every rule as a row of Markdown, its columns aligned."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for item in fields(Policy):
        says, why = item.metadata["says"], item.metadata["why"]
        rows.append((f"`{item.name}`", _default(item.name, item.default), says, why))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "".join(f"| {line} |\n" for line in lines)


def _default(name: str, default: object) -> str:
    if isinstance(default, int):
        return f"`{default}`"
    return "none" if default is None or name.startswith("denied_") else "any"
