"""The storage bench runs for a moment over real engines; it judges nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.engine("anvil", "kubo", "cluster")
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_quick_run_of_storage_prints_every_claim(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "storage.py", "--quick", "--json", "--plots", tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        timeout=1200,
        check=True,
    )
    claims = json.loads(done.stdout)["claims"]
    limits = {claim["id"]: claim["limit"] for claim in claims if "chain_record" not in claim["id"]}
    assert limits == {
        "put_1m": 1.0,
        "put_10m": 1.0,
        "put_100m": 1.0,
        "put_1g": 1.0,
        "kubo_put_100m": 1.25,
        "get_100m": 2.0,
        "get_hash_100m": 1.3,
        "kubo_get_100m": 1.25,
        "pin3_20m": 1.1,
        "recipients_50": 1.05,
        "rewrap_1g": 0.05,
        "put_memory_2g": 64,
        "many_small": 0.8,
    }
    assert [claim["id"] for claim in claims if "chain_record" in claim["id"]]
    assert all(claim["ok"] is None and claim["value"] > 0 for claim in claims)
    assert (tmp_path / "storage.svg").is_file()
