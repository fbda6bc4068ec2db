"""The bench runs for a moment, so that it cannot rot; it judges nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(1300)
@pytest.mark.processes
def test_quick_run_prints_every_claim(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", "--plots", tmp_path],
        capture_output=True,
        text=True,
        timeout=1200,
        check=True,
    )
    shown = json.loads(done.stdout)
    assert {"machine", "versions", "seeds", "date", "claims", "tables"} == set(shown)
    assert [claim["id"] for claim in shown["claims"]] == [
        "simulate_hospitals",
        "simulate_parameters",
    ]
    assert all(claim["ok"] is None and claim["value"] > 0 for claim in shown["claims"])
