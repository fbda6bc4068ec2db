"""`python bench/storage.py [--quick] [--json]`: speed and memory of sealed storage."""

from __future__ import annotations

import sys
from pathlib import Path

# Started as a file, its folder would stand before the packages of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import storage_cluster, storage_get, storage_ipfs, storage_put  # noqa: E402
from bench.report import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(
        main(
            "storage",
            __doc__,
            storage_put.run,
            storage_get.run,
            storage_ipfs.run,
            storage_cluster.run,
        )
    )
