"""`python bench/accuracy.py [--quick] [--json]`: how good the models are, beside published ones."""

from __future__ import annotations

import sys
from pathlib import Path

# Started as a file, its folder would stand before the packages of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.figures import rivals, tables, xrays  # noqa: E402
from bench.figures.flamby import SEEDS  # noqa: E402
from bench.report import main  # noqa: E402

if __name__ == "__main__":
    benches = (tables.heart_claims, tables.brca_claims, xrays.claims, rivals.claims)
    raise SystemExit(main("accuracy", __doc__, *benches, seeds=SEEDS))
