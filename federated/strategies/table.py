"""Which strategy goes with which mode and reward, as the table in the documentation."""

from __future__ import annotations

import inspect

from federated.strategies import STRATEGIES, Strategy

_HEAD = (
    "Strategy",
    "What it does",
    "Settings",
    "Weights count",
    "Modes",
    "Rewards",
    "Hospitals, at least",
    "Server keeps",
    "Source",
)


def render_table() -> str:
    """Markdown, one row a registered strategy, columns padded to equal width."""
    rows = [_HEAD, *(_row(strategy) for strategy in STRATEGIES.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def _row(strategy: Strategy) -> tuple[str, ...]:
    says = inspect.getdoc(inspect.getmodule(type(strategy))) or ""
    settings = (
        f"`{setting.name}` {'whole, ' * setting.whole}in {setting.span}"
        for setting in strategy.settings
    )
    return (
        f"`{strategy.name}`",
        says.splitlines()[0].partition(": ")[2].rstrip("."),
        "; ".join(settings) or "–",
        "yes" if strategy.weighted else "no",
        ", ".join(strategy.modes),
        ", ".join(f"`{rule}`" for rule in strategy.rewards),
        strategy.needs,
        ", ".join(f"`{name}`" for name in strategy.state) or "–",
        strategy.source,
    )
