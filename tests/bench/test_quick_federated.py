"""The bench beside Flower, in its own environment, runs for a moment; it judges nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from records.sources import HEART, PNEUMONIA
from tests.data_sets import need

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1900)  # the environment is built on the way, once on a machine
@pytest.mark.processes
def test_quick_run_beside_flower_prints_every_claim(tmp_path: Path) -> None:
    need(*HEART.values(), PNEUMONIA)
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "federated.py", "--quick", "--json", "--plots", tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        timeout=1800,
        check=True,
    )
    claims = json.loads(done.stdout)["claims"]
    assert {claim["id"]: claim["limit"] for claim in claims} == {
        "flower_overhead_heart": 0.5,
        "flower_overhead_pneumonia": 0.5,
        "flower_wall_pneumonia": 1.0,
        "flower_memory_pneumonia": 0.7,
        "chain_overhead_10m": 1.10,
        "sum_50x10m": 2.0,
        "aggregate_50x10m": 1.3,
        "aggregate_memory": 2.5,
    }
    assert all(claim["ok"] is None and claim["peer"] > 0 for claim in claims)
