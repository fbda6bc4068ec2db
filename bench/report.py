"""What every bench prints: the machine, versions, and its claims."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

PACKAGES = ("numpy", "torch", "web3", "cryptography")


@dataclass(frozen=True)
class Claim:
    """`value` is compared with `limit` by `sense`; a quick run never judges (`ok` is None)."""

    id: str
    ours: float
    peer: float
    unit: str
    value: float
    sense: str
    limit: float
    ok: bool | None


def ratio(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    limit: float,
    runs: int,
    judge: bool,
) -> Claim:
    """Seconds of both in turn, `runs` times; the value is the median of the pairs' ratios."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(runs)]
    value = median(a / b for a, b in pairs)
    own, other = (median(pair[side] for pair in pairs) for side in (0, 1))
    return Claim(name, own, other, "s", value, "<=", limit, value <= limit if judge else None)


def report(claims: list[Claim]) -> dict[str, Any]:
    """The JSON object of a run."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "date": datetime.now(UTC).date().isoformat(),
        "claims": [asdict(claim) for claim in claims],
    }


def main(doc: str | None, *benches: Callable[[bool], list[Claim]]) -> int:
    """Run benches as a program; exit status 1 where a judged claim does not hold."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="small sizes, no judgement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    claims = [claim for bench in benches for claim in bench(options.quick)]
    if options.json:
        print(json.dumps(report(claims)))
    else:
        Console().print(_table(claims))
    return int(any(claim.ok is False for claim in claims))


def _table(claims: list[Claim]) -> Table:
    table = Table(title="ratios, medians of pairs in one run")
    for column in ("claim", "ours", "peer", "ratio", "limit", "holds"):
        table.add_column(column, justify="left" if column == "claim" else "right")
    for claim in claims:
        figures = (f"{x:.4g} {claim.unit}" for x in (claim.ours, claim.peer))
        verdict = "not judged" if claim.ok is None else ("yes" if claim.ok else "NO")
        limit = f"{claim.sense} {claim.limit}"
        table.add_row(claim.id, *figures, f"{claim.value:.2f}", limit, verdict)
    return table


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
