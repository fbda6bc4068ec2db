"""`python bench/federated.py [--quick] [--json]`: speed and memory of federated training."""

from __future__ import annotations

import sys
from pathlib import Path

# Started as a file, its folder would stand before the packages of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import aggregate, recorded, sealed  # noqa: E402
from bench.flower import compare  # noqa: E402
from bench.report import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(
        main("federated", __doc__, compare.run, recorded.run, aggregate.run, sealed.run)
    )
