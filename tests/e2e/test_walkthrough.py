"""docs/walkthrough.md is one script, and works as it stands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.walking import leaves
from tests.e2e.running import HERE, ROOT, Runner, runner

DOCUMENT = ROOT / "docs" / "walkthrough.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SWARM = [
    "init",
    "up",
    "down",
    "status",
    "key",
    "invite",
    "join",
    "admit",
    "check",
    "rekey",
    "renew",
]

NOT_WALKED = {
    "challenge order": "needs a hospital that cheats",
    "challenge split": "needs a hospital that cheats",
    "challenge missing": "needs a list that nobody has",
    "challenge unopened": "needs an update that does not open",
    "challenge expire": "needs a hospital that is silent",
    "challenge restore": "needs a center that cheats",
    "challenge reject-root": "needs a center that cheats",
    "center propose": "needs a study that pays by contribution",
    "hospital report": "needs a study that pays by contribution",
    "offer inbox": "needs an API where a patient left an offer",
    "participant dismiss": "needs somebody whom nobody wants: docs/operations.md",
    "participant renew-key": "needs a key that is stolen: docs/operations.md",
    "participant move-outbox": "needs a PostgreSQL: docs/operations.md",
    "serve": "goes on until it is ended",
    "report": "needs a demo",
    "demo": "runs a study of its own",
    "engines": "shows what is built on this machine",
    "chain validator": "needs validators: docs/operations.md",
    "chain genesis": "needs validators: docs/operations.md",
} | {f"swarm {step}": "needs nodes of IPFS: docs/operations.md" for step in SWARM}


def script() -> str:
    """Every block, in order."""
    return "\n".join(_BLOCK.findall(DOCUMENT.read_text("utf-8")))


def test_every_command_is_walked_through_but_those_that_need_a_culprit() -> None:
    lines = re.findall(r"consilium(?: --home \S+)? ([a-z]+(?: [a-z]+){0,2})", script())
    walked = {" ".join(line.split()[:words]) for line in lines for words in (1, 2, 3)}
    shown = {" ".join(leaf[1:]) for leaf in leaves()}
    missing = {leaf for leaf in shown if leaf not in walked and leaf.split()[0] not in walked}
    groups = {leaf.split()[0] for leaf in shown if " " in leaf}
    missing |= {leaf for leaf in shown if leaf.split()[0] in groups and leaf not in walked}
    assert missing == set(NOT_WALKED)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runner, str]]:
    folder = tmp_path_factory.mktemp("walkthrough")
    tools = tmp_path_factory.mktemp("tools")
    client = HERE / "run_consilium.py"
    _executable(tools / "consilium", f'exec "{sys.executable}" -SE "{client}" "$@"')
    _executable(tools / "python", f'exec "{sys.executable}" "$@"')
    with runner(folder) as run:
        environment = run.environment("")
        del environment["CONSILIUM_PASSPHRASE"]  # the document says how to give one
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        code, shown = _run(environment, folder)
        assert code == 0, shown[-6000:]
        yield run, shown


def _run(environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """The script's status and what it showed; nothing that it started is left."""
    log = folder / "shown.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-c", "set -euo pipefail\n" + script()],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(3000), log.read_text("utf-8")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def _executable(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    path.chmod(0o755)


@pytest.mark.engine("anvil")
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_document_runs_as_it_stands(walked: tuple[Runner, str]) -> None:
    _, shown = walked
    assert shown.count("ok: all ") == 3  # audits: keyless, keyed, and at the end
    assert "round 2: finalized 3 updates" in shown


@pytest.mark.engine("anvil")
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_document_tells_the_patient_the_truth(walked: tuple[Runner, str]) -> None:
    _, shown = walked
    usage = shown[shown.index("alex in study 1") : shown.index("ok: all ")]
    alex, _, withdrawn = usage.partition("valley-0005 in study 1")
    assert [line.split()[1] for line in alex.splitlines() if "north" in line] == ["1", "2"]
    assert [line.split()[1] for line in withdrawn.splitlines() if "valley" in line] == ["1"]
    paid = [line for line in shown.splitlines() if "│ 4 " in line and "│ active │ yes" in line]
    assert len(paid) == 1
