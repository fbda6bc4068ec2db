"""Slither is silenced beside the code alone, and with a reason."""

from __future__ import annotations

import pytest

from chain import toolchain
from tests.tooling.kit import load

slither = load(toolchain.ROOT / "tools" / "slither_check.py")

UNREASONED = (
    "// slither-disable-next-line timestamp",
    "// slither-disable-next-line timestamp:",
    "// slither-disable-start all",
    "//slither-disable-next-line timestamp,unused-return because",
)


@pytest.mark.parametrize("comment", UNREASONED)
def test_a_comment_that_silences_slither_without_a_reason_is_told(comment: str) -> None:
    text = f"contract A {{\n    {comment}\n    uint256 a;\n}}\n"
    assert slither.unreasoned({"contracts/A.sol": text}) == ["contracts/A.sol:2"]


def test_a_comment_with_a_reason_is_not_told() -> None:
    text = (
        "// slither-disable-start timestamp: a reason\n"
        "// slither-disable-next-line unused-return,calls-loop: another\n"
        "// slither-disable-end timestamp\n"
    )
    assert slither.unreasoned({"contracts/A.sol": text}) == []
