"""`python bench/chain.py [--quick] [--json]`: gas and speed of contracts and chain access."""

from __future__ import annotations

import sys
from pathlib import Path

# Started as a file, its folder would stand before the packages of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import chain_gas, chain_speed  # noqa: E402
from bench.report import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main("chain", __doc__, chain_gas.run, chain_speed.run))
