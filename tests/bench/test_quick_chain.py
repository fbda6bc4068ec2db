"""The chain's bench runs for a moment over a real engine; it judges nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.engine("anvil", "hardhat")
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_quick_run_of_the_chain_prints_every_claim(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "chain.py", "--quick", "--json", "--plots", tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        timeout=1200,
        check=True,
    )
    claims = json.loads(done.stdout)["claims"]
    assert {claim["id"]: (claim["sense"], claim["limit"]) for claim in claims} == {
        "gas_grant": ("<=", 37_000),
        "gas_revoke": ("<=", 17_000),
        "gas_freeze": ("<=", 80_000),
        "gas_submit": ("<=", 62_000),
        "gas_claim_fresh": ("<=", 105_000),
        "gas_claim": ("<=", 88_000),
        "consents_100k": ("<=", 1.5),
        "index_events": (">=", 8.0),
        "merkle_1m": (">=", 3.0),
        "active_10k": ("<=", 1.0),
        "round_growth": ("<=", 1.02),
    }
    assert all(claim["ok"] is None and claim["value"] > 0 for claim in claims)
    assert (tmp_path / "chain.svg").is_file()
