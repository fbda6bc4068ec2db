"""`make test-bft` runs these in a network of their own; elsewhere they are no tests."""

from __future__ import annotations

import os

if os.environ.get("CONSILIUM_BFT") != "1":
    collect_ignore_glob = ["test_*.py"]
