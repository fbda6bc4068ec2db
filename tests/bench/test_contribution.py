"""The bench of reward rules runs for a moment; what its figures say is tested on the rules."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.contribution import RULES
from records.sources import HEART
from tests.data_sets import need


@pytest.mark.timeout(1300)
@pytest.mark.processes
def test_quick_run_prints_a_line_for_each_rule_and_hospital() -> None:
    need(*HEART.values())
    done = subprocess.run(
        [sys.executable, "-m", "bench.contribution", "--study", "heart", "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=1200,
        check=True,
    )
    shown = json.loads(done.stdout)["lines"]
    assert {(line["rule"], line["hospital"]) for line in shown} == {
        (rule, hospital)
        for rule in ("count", *RULES)
        for hospital in ("cleveland", "hungarian", "switzerland", "va")
    }
    for rule in ("count", *RULES):
        own = [line for line in shown if line["rule"] == rule]
        assert abs(sum(line["share"] for line in own) - 1) < 1e-6
        idle = next(line for line in own if line["role"] == "idle")
        assert rule == "count" or idle["contribution"]["value"] == 0
