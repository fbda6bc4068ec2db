"""`python -m bench [--quick] [--json]`: every claim, measured."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

from bench import aggregate, scale
from bench.report import Claim, report


def main() -> int:
    """Exit status 1 where a judged claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, no judgement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    claims = [*aggregate.run(options.quick), *scale.run(options.quick)]
    if options.json:
        print(json.dumps(report(claims)))
    else:
        Console().print(_table(claims))
    return int(any(claim.ok is False for claim in claims))


def _table(claims: list[Claim]) -> Table:
    table = Table(title="claims of speed: ratios, medians of pairs in one run")
    for column in ("claim", "ours", "peer", "ratio", "limit", "holds"):
        table.add_column(column, justify="left" if column == "claim" else "right")
    for claim in claims:
        seconds = (f"{x:.4f} {claim.unit}" for x in (claim.ours, claim.peer))
        verdict = "not judged" if claim.ok is None else ("yes" if claim.ok else "NO")
        limit = f"{claim.sense} {claim.limit}"
        table.add_row(claim.id, *seconds, f"{claim.value:.2f}", limit, verdict)
    return table


if __name__ == "__main__":
    raise SystemExit(main())
