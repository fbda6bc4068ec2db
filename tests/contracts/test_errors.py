"""Every custom error of the contracts is provoked by a test, by its name.

With `CONSILIUM_SEEN=<file>` a run of tests/contracts notes there which errors it met, and a run of
this file holds that list to the ABIs (`make prove`). Without, a look at the tests' words must do.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

import pytest

from chain import artifacts

FOLDER = Path(__file__).parent
# Of OpenZeppelin's bases, for what cannot come to pass in our use of them.
UNREACHED = {
    "AccessManagedInvalidAuthority",
    "AccessManagedRequiredDelay",
    "InvalidShortString",
    "ReentrancyGuardReentrantCall",
    "StringTooLong",
}


def errors() -> list[tuple[str, str]]:
    own = [name for name in artifacts.names() if (artifacts.CONTRACTS / f"{name}.sol").is_file()]
    return sorted(
        (contract, entry["name"])
        for contract in own
        for entry in artifacts.load(contract).abi
        if entry["type"] == "error"
    )


@pytest.mark.parametrize(("contract", "error"), errors())
def test_a_test_provokes_the_error(contract: str, error: str) -> None:
    assert error in provoked() | UNREACHED, f"{contract}.{error} is provoked by no test"


@functools.cache
def provoked() -> frozenset[str]:
    """Names of errors: those that a run met, or all words in quotes of the other tests."""
    if seen := os.environ.get("CONSILIUM_SEEN"):
        return frozenset(Path(seen).read_text("utf-8").split())
    others = [path for path in FOLDER.glob("test_*.py") if path.name != Path(__file__).name]
    return frozenset(re.findall(r'"(\w+)"', "".join(path.read_text("utf-8") for path in others)))
