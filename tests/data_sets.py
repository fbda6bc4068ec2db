"""Public data sets in tests: out of $CONSILIUM_DATA alone, never from the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from records.sources import Source


def need(*sources: Source) -> None:
    """Skip where a file is not below $CONSILIUM_DATA; in CI (CONSILIUM_REQUIRE_ENGINES=1) fail."""
    given = os.environ.get("CONSILIUM_DATA")
    missing = [x.path for x in sources if not given or not (Path(given) / x.path).is_file()]
    if not missing:
        return
    reason = f"set CONSILIUM_DATA to a folder that holds {', '.join(missing)}"
    if os.environ.get("CONSILIUM_REQUIRE_ENGINES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
