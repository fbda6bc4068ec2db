"""A contract whose tests run all of it, and what is told of it when they do not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.tooling.kit import ROOT

pytestmark = [pytest.mark.engine("anvil", "solc"), pytest.mark.timeout(1800)]

TESTS = "tests/contracts/test_attestations.py"


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "tools" / "coverage.py"), "--only", "Attestations"]
    return subprocess.run(
        [*program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_tests_run_every_statement_of_attestations_and_each_side_of_its_conditions() -> None:
    done = coverage(TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT RUN" not in done.stdout
    assert re.search(r"all: ([1-9]\d+) of \1 statements, ([1-9]\d+) of \2 sides", done.stdout)


def test_what_the_tests_do_not_run_is_named() -> None:
    done = coverage("--list", f"{TESTS}::test_a_later_verdict_replaces_the_earlier_in_the_counts")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line.removeprefix("coverage: ") for line in done.stdout.splitlines()]
    missed = {line.split(" ", 3)[3] for line in lines if line.startswith("NOT RUN")}
    run = {line.split(" ", 1)[1] for line in lines if line.startswith("contracts/")}
    for seen in ("statement: ++tally.counts[verdict]", "holds: before != Verdict.None"):
        assert seen in run
    for never in ("holds: level == Level.None", "does not hold: level != Level.Keyed"):
        assert never in missed
    assert not run & missed
