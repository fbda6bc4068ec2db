"""The demo as a newcomer runs it: one JSON object, and commands that go on from it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from api.demo.transfer import SIZES
from api.report.file import read_data

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]

KUBO = pytest.mark.engine("kubo")
WAIT_S = 1800
FIGURES = ("accuracy", "sensitivity", "specificity", "auc")


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli.main", "--home", str(home), *arguments]


def environment() -> dict[str, str]:
    hidden = ("CONSILIUM_PASSPHRASE", "CONSILIUM_PASSPHRASE_FILE", "CONSILIUM_HOME")
    return {key: value for key, value in os.environ.items() if key not in hidden}


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(home, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """What runs in the background of a shell, this test perhaps, starts deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, dict[str, Any]]]:
    """Two demos of one seed, run at the same time under one home."""
    home = tmp_path_factory.mktemp("home")
    started = [start(home, "demo", "--study", "wisconsin", "--seed", "3", "--json") for _ in "ab"]
    results = []
    for process in started:
        output, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, errors[-2000:]
        results.append((home, json.loads(output)))
    return results


@pytest.fixture(scope="module")
def on_kubo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same study over a private IPFS."""
    home = tmp_path_factory.mktemp("kubo")
    process = start(home, "demo", "--store", "kubo", "--seed", "3", "--json")
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors[-2000:]
    return home, json.loads(output)


def test_the_json_has_what_is_promised(demos: list[tuple[Path, dict[str, Any]]]) -> None:
    _, shown = demos[0]
    assert shown["study"] == "wisconsin"
    assert shown["seed"] == 3
    assert len(bytes.fromhex(shown["global_model"])) == 32
    models = {row["model"] for row in shown["rows"]}
    tests = {row["test"] for row in shown["rows"]}
    hospitals = {name.removeprefix("local:") for name in models if name.startswith("local:")}
    assert models == {"federated", "centralised", *(f"local:{name}" for name in hospitals)}
    assert len(hospitals) == 4
    assert tests == {"pooled", *hospitals}
    for row in shown["rows"]:
        for figure in FIGURES:
            assert 0 <= row[f"{figure}_low"] <= row[figure] <= row[f"{figure}_high"] <= 1
    for item in shown["transfer"]:
        assert item["backend"] == "embedded"
        assert min(item["bytes"], item["upload_s"], item["download_s"], item["chain_s"]) > 0
    assert shown["audit"]["ok"] is True
    assert shown["audit"]["level"] == "keyed"
    assert {"consents", "aggregate", "escrow-sum"} <= {c["name"] for c in shown["audit"]["checks"]}
    assert shown["wall_s"] > 0


def test_the_pooled_federated_model_tells_malignant_from_benign(
    demos: list[tuple[Path, dict[str, Any]]],
) -> None:
    rows = {(row["model"], row["test"]): row for row in demos[0][1]["rows"]}
    assert rows["federated", "pooled"]["auc"] > 0.97


def test_all_money_is_accounted_for(demos: list[tuple[Path, dict[str, Any]]]) -> None:
    rewards = demos[0][1]["rewards"]
    assert rewards["paid"] == rewards["patients"]["total"] + sum(rewards["hospitals"].values())
    assert rewards["paid"] + rewards["refundable"] == rewards["budget"]


def test_consents_are_counted_as_they_were_decided(
    demos: list[tuple[Path, dict[str, Any]]],
) -> None:
    consents = demos[0][1]["consents"]
    assert consents["asked"] == 569 == consents["granted"] + consents["refused"]
    cohorts = consents["in_cohort"]
    assert cohorts[0] < consents["granted"]  # short-lived and other-purpose consents are in none
    assert cohorts[0] == cohorts[1] == cohorts[2] + 1  # one withdrew after the second round
    assert cohorts[-1] == cohorts[0] - consents["revoked"]


def test_one_seed_gives_one_model_and_other_cids(
    demos: list[tuple[Path, dict[str, Any]]],
) -> None:
    (home, first), (_, second) = demos
    assert first["global_model"] == second["global_model"]
    envelopes = [
        {path.name for path in (folder / "store").rglob("*") if path.is_file()}
        for folder in home.iterdir()
        if folder.is_dir()
    ]
    assert len(envelopes) == 2
    shared = envelopes[0] & envelopes[1]  # the spec and the terms in words are no secrets
    assert len(shared) < len(envelopes[0]) // 10


def test_audit_and_study_go_on_from_the_last_demo(
    demos: list[tuple[Path, dict[str, Any]]],
) -> None:
    home, shown = demos[1]
    audit = start(home, "audit", "--json")
    output, errors = audit.communicate(timeout=WAIT_S)
    assert audit.returncode == 0, errors[-2000:]
    assert json.loads(output)["ok"] is True
    study = start(home, "study", "show")
    output, errors = study.communicate(timeout=WAIT_S)
    assert study.returncode == 0, errors[-2000:]
    assert "Malignancy" in output
    usage = start(home, "consent", "usage")
    output, errors = usage.communicate(timeout=WAIT_S)
    assert usage.returncode == 0, errors[-2000:]
    assert "round" in output.lower()
    assert shown["number"] == 1


@KUBO
def test_the_model_over_a_private_ipfs_is_that_of_a_folder(
    demos: list[tuple[Path, dict[str, Any]]], on_kubo: tuple[Path, dict[str, Any]]
) -> None:
    (_, folder), (home, shown) = demos[0], on_kubo
    assert shown["global_model"] == folder["global_model"]
    assert shown["rows"] == folder["rows"]
    assert shown["consents"] == folder["consents"]
    assert shown["rewards"] == folder["rewards"]
    assert shown["audit"]["ok"] is True
    assert shown["audit"]["level"] == "keyed"
    assert {item["backend"] for item in shown["transfer"]} == {"kubo-private"}
    (demo,) = (path for path in home.iterdir() if path.is_dir())
    assert not (demo / "store").exists()  # no folder that all could have shared


@KUBO
def test_the_record_on_chain_is_measured_beside_private_ipfs_alone(
    on_kubo: tuple[Path, dict[str, Any]], demos: list[tuple[Path, dict[str, Any]]]
) -> None:
    assert demos[0][1]["transfer_table"] == []
    table = {row["what"]: row for row in on_kubo[1]["transfer_table"]}
    sizes = {name: row["bytes"] for name, row in table.items() if name in SIZES}
    assert sizes == {name: size for name, (size, _) in SIZES.items()}
    assert len(table) == len(SIZES) + 1
    for row in table.values():
        assert row["repeats"] >= 3
        assert 0 < row["ipfs_upload_s"] < row["recorded_upload_s"]
        assert 0 < row["ipfs_download_s"] < row["recorded_download_s"]


@KUBO
def test_commands_after_the_demo_start_its_nodes_and_end_them(
    on_kubo: tuple[Path, dict[str, Any]],
) -> None:
    home, _ = on_kubo
    keyless = start(home, "audit", "--keyless", "--json")
    output, errors = keyless.communicate(timeout=WAIT_S)
    assert keyless.returncode == 0, errors[-2000:]
    assert json.loads(output)["ok"] is True
    (demo,) = (path for path in home.iterdir() if path.is_dir())
    center = demo / "center" / "home.json"
    last = json.loads(center.read_text())["store"]
    with socket.socket() as other:  # takes the RPC's port meanwhile
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # another test's program has it
            other.bind(("127.0.0.1", int(last.rsplit(":", 1)[1])))
            other.listen()
        study = start(home, "study", "show")
        output, errors = study.communicate(timeout=WAIT_S)
        assert study.returncode == 0, errors[-2000:]
        assert "Malignancy" in output
    assert json.loads(center.read_text())["store"] != last
    assert not _commands(str(demo))


@KUBO
def test_nodes_that_another_command_runs_are_named(on_kubo: tuple[Path, dict[str, Any]]) -> None:
    home, _ = on_kubo
    (demo,) = (path for path in home.iterdir() if path.is_dir())
    with FileLock(demo / "swarm" / ".lock"):
        study = start(home, "study", "show")
        output, errors = study.communicate(timeout=WAIT_S)
    assert (study.returncode, output) == (1, "")
    assert len(errors.strip().splitlines()) == 1
    assert f"another process runs the IPFS nodes in {demo / 'swarm'}" in errors


@KUBO
def test_an_interrupted_demo_ends_its_nodes(tmp_path: Path) -> None:
    process = start(tmp_path, "demo", "--store", "kubo")
    deadline = time.monotonic() + WAIT_S
    while not (children := _children(process.pid, "ipfs")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert children, "no node was started"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert not any(_alive(pid) for pid in children)
    assert not _commands(str(tmp_path))


def test_the_report_tells_of_the_very_same_study(
    demos: list[tuple[Path, dict[str, Any]]],
) -> None:
    home, shown = demos[0]
    found = [read_data(path) for path in home.glob("*/report.json")]
    assert len(found) == 2
    data = found[0]
    assert data.provenance.final_state == shown["global_model"]
    assert [len(round_.updates) for round_ in data.provenance.rounds] == [4] * 5
    fates = {update.fate for round_ in data.provenance.rounds for update in round_.updates}
    assert fates == {"included"}
    people = [sum(count or 0 for count in cohort) for cohort in data.consents.cohorts]
    assert people == shown["consents"]["in_cohort"]
    assert data.audit.ok
    assert sum(group.passed for group in data.audit.groups) == len(shown["audit"]["checks"])
    assert data.money.paid + data.money.refunded == data.money.budget
    signed = {row["test"] for row in shown["rows"] if row["computed_by"] == "hospital"}
    assert {item.hospital for item in data.signed} == signed
    assert len({round_.state for round_ in data.provenance.rounds}) == 5
    assert len(list(home.glob("*/report.html"))) == 2


def test_children_die_with_their_parent(tmp_path: Path) -> None:
    process = start(tmp_path, "demo")
    deadline = time.monotonic() + WAIT_S
    while not (children := _children(process.pid, "anvil")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert children, "no anvil was started"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=WAIT_S)
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline + WAIT_S:
        time.sleep(0.2)
    assert not any(_alive(pid) for pid in children)


def _commands(path: str) -> list[str]:
    """What runs with this path in its arguments."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if path in line]


def _children(parent: int, program: str) -> list[int]:
    """Process ids of a program below a process."""
    below, found = {parent}, []
    for _ in range(3):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                name = (path / "comm").read_text().strip()
            except OSError:
                continue
            if int(fields[1]) in below:
                below.add(int(path.name))
                if name == program and int(path.name) not in found:
                    found.append(int(path.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
