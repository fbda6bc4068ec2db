"""schemathesis over the API's own description: no 5xx, and no answer that it does not describe.

FUZZ_EXAMPLES=300 looks longer, with every phase; see docs/api.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.serving import Served
from tests.e2e import kit

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.slow, pytest.mark.timeout(3600)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
CONFIG = """
[dictionaries.state]
values = ["{state}"]
[dictionaries.consent]
values = ["{consent}"]
[dictionaries.receipt]
values = ["{receipt}"]
[dictionaries.first]
values = [1, 2]
[parameters]
"path.state" = {{ dictionary = "state", probability = 0.5 }}
"path.consent" = {{ dictionary = "consent", probability = 0.5 }}
"path.receipt" = {{ dictionary = "receipt", probability = 0.5 }}
"path.study" = {{ dictionary = "first", probability = 0.7 }}
"path.number" = {{ dictionary = "first", probability = 0.7 }}
"""


def test_no_request_finds_a_fault_or_an_answer_that_is_not_described(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG.format(**_known(served)))
    phases = "examples,coverage,fuzzing" + (",stateful" if EXAMPLES > 10 else "")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{served.client.base_url}/openapi.json",
            *("--max-examples", str(EXAMPLES), "--phases", phases, "--checks", ",".join(CHECKS)),
            *("--seed", "1", "--generation-database", "none", "--no-color", "--workers", "2"),
            *("--suppress-health-check", "all", "--continue-on-failure"),
            *("--request-timeout", "600"),
        ],
        cwd=tmp_path,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    cases = re.search(r"(\d+) generated", done.stdout)
    assert tested is not None, done.stdout
    assert cases is not None, done.stdout
    described = served.get("/openapi.json")["paths"]
    assert int(tested[1]) == sum(map(len, described.values()))
    assert int(cases[1]) > 500
    asked = [line for line in served.lines() if line["event"] == "request"]
    assert {line["route"] for line in asked} >= set(described)
    assert [line for line in asked if line["status"] >= 500] == []
    reached = {line["route"] for line in asked if line["status"] in (200, 202)}
    assert {path for path in described if "post" not in described[path]} <= reached


def _known(served: Served) -> dict[str, str]:
    """Values that lead behind the first look-up."""
    world = served.world
    asked = next(item for item in world.patients if item.will == "grants")
    agreement, until = world.tiers["north", "grants"], world.clock.now() + 3600
    grant = kit.Patient(kit.PatientSecret(kit.new_phrase()), world.relayer.chain).grant(
        agreement, deadline=until
    )
    left = served.client.post("/v1/relay/grants", json=grant.to_json()).json()
    return {
        "state": "0x" + kit.state_of(world, 2).hex(),
        "consent": "0x" + world.consent_of(asked).hex(),
        "receipt": left["receipt"],
    }


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the caller's but the way to programs; loopback is asked without a proxy."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*"}
