"""What every bench prints: the machine, versions, and its claims."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from bench.claims import Bench, Claim, Item, Rows
from bench.plots import draw

PLOTS = Path("build") / "bench"
WIDTH = 132  # where output goes to no terminal
PACKAGES = ("numpy", "torch", "web3", "cryptography")


def report(items: Sequence[Item], seeds: Sequence[int] = ()) -> dict[str, Any]:
    """The JSON object of a run; `seeds` are those that its figures are means over."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "date": datetime.now(UTC).date().isoformat(),
        "seeds": list(seeds),
        "claims": [asdict(item) for item in items if isinstance(item, Claim)],
        "tables": [asdict(item) for item in items if isinstance(item, Rows)],
    }


def main(name: str, doc: str | None, *benches: Bench, seeds: Sequence[int] = ()) -> int:
    """Run benches as a program; exit status 1 where a judged claim does not hold.

    `name` is that of the plot, `seeds` are those that figures are means over.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="small sizes, no judgement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plots", type=Path, default=PLOTS, help=f"folder, default: {PLOTS}")
    options = parser.parse_args()
    items: list[Item] = []
    for bench in benches:
        found = list(bench(options.quick))
        _show(found, sys.stderr)  # a run of an hour that is interrupted has told what it found
        items += found
    claims = [item for item in items if isinstance(item, Claim)]
    draw(claims, options.plots / f"{name}.svg")
    if options.json:
        print(json.dumps(report(items, seeds)))
    else:
        _show(items, sys.stdout)
    return int(any(claim.ok is False for claim in claims))


def _show(items: Sequence[Item], file: IO[str]) -> None:
    console = Console(file=file, width=None if file.isatty() else WIDTH)
    for item in items:
        if isinstance(item, Rows):
            table = Table(*item.columns, title=item.title)
            for line in item.lines:
                table.add_row(*line)
            console.print(table)
    console.print(_table([item for item in items if isinstance(item, Claim)]))


def _table(claims: Sequence[Claim]) -> Table:
    table = Table(title="claims")
    for column in ("claim", "ours", "peer", "value", "limit", "holds"):
        table.add_column(column, justify="left" if column == "claim" else "right")
    for claim in claims:
        figures = (f"{x:.4g} {claim.unit}" for x in (claim.ours, claim.peer))
        verdict = "not judged" if claim.ok is None else ("yes" if claim.ok else "NO")
        limit = "none" if claim.limit is None else f"{claim.sense} {claim.limit}"
        table.add_row(claim.id, *figures, f"{claim.value:.4g}", limit, verdict)
    return table
