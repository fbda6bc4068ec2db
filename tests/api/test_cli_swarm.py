"""`consilium swarm` and `consilium engines`: one who runs a swarm, one who joins it.

Everything here runs as processes of its own, as it would at two hospitals.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.home import Home, HomeConfig, HomeRole
from storage import Codec
from storage.backends import open_store
from storage.cluster import ClusterStore
from tests.storage.kit import LONG, eventually

pytestmark = [pytest.mark.engine("kubo", "cluster"), pytest.mark.processes]
PASSPHRASE = "of a test"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in the home of that name."""
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", PASSPHRASE)
    for name, role in (("center", HomeRole.CENTER), ("north", HomeRole.HOSPITAL)):
        config = HomeConfig(role, name, "http://127.0.0.1:1", str(tmp_path / "store"))
        Home.create(tmp_path / name, config, None, PASSPHRASE, light=True)

    def found(home: str, *arguments: str | Path) -> tuple[int, str, str]:
        status = main(["--home", str(tmp_path / home), *map(str, arguments)])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return found


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """`swarm up`, and the stores that it names."""
    command = [sys.executable, "-m", "api.cli.main", "swarm", "up", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stores = {}
        try:
            for line in process.stdout:
                if found := re.fullmatch(r"(\S+)  --store (cluster:\S+)", line.strip()):
                    stores[found[1]] = found[2]
                if line.startswith("running"):
                    break
            yield stores
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(300)


def store_at(address: str) -> ClusterStore:
    store = open_store(address)
    assert isinstance(store, ClusterStore)
    return store


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ports", [[], ["--one-port"]], ids=["two ports", "one port"])
def test_a_hospital_that_is_invited_holds_copies_and_reads_them(
    run: Run, tmp_path: Path, ports: list[str]
) -> None:
    here, there = tmp_path / "center-swarm", tmp_path / "north-swarm"
    making = ("swarm", "init", here, "--name", "center", "--name", "harbor", *ports)
    assert run("center", *making)[0] == 0
    status, _, told = run("center", "swarm", "init", here)
    assert status == 1
    assert "holds a swarm already" in told
    with running(here):
        assert run("north", "swarm", "key", "--out", tmp_path / "north.key")[0] == 0
        card = here / "center" / "card.json"
        invited = run(
            *("center", "swarm", "invite", here, tmp_path / "north.key"),
            *("--out", tmp_path / "invitation"),
        )
        assert invited[0] == 0
        status, out, _ = run("center", "swarm", "status", here, "--json")
        assert status == 0
        assert [(item["name"], item["kubo"], item["peers_seen"]) for item in json.loads(out)] == [
            ("center", "0.43.0", 1),
            ("harbor", "0.43.0", 1),
        ]
    status, out, _ = run("center", "swarm", "status", here)
    assert status == 1
    assert "cannot be reached" in " ".join(out.split())
    inviter = invited[1].split("--inviter ")[1].strip()
    joining = ("swarm", "join", tmp_path / "invitation", there, "--name", "north", *ports)
    wrong = inviter[:-2] + ("00" if inviter[-2:] != "00" else "01")
    status, _, told = run("north", *joining, "--inviter", wrong, "--host", "127.0.0.1")
    assert status == 1
    assert "is signed by" in told
    assert not there.exists()
    assert run("north", *joining, "--inviter", inviter, "--host", "127.0.0.1")[0] == 0
    with running(there):
        pass  # its ports and ids are chosen now
    assert run("center", "swarm", "admit", here, there / "north" / "card.json")[0] == 0
    assert run("north", "swarm", "admit", there, card)[0] == 0  # known already: said anew
    with ExitStack() as stack:
        stores = stack.enter_context(running(here)) | stack.enter_context(running(there))
        assert sorted(stores) == ["center", "harbor", "north"]
        content = os.urandom(99)
        with store_at(stores["center"]) as center, store_at(stores["north"]) as north:
            center.copies = 3
            cid = center.put_block(Codec.RAW, content)
            center.pin(cid)
            assert north.get_block(cid) == content
            made = north.put_block(Codec.RAW, content[::-1])
            north.pin(made)
            assert eventually(lambda: center.pins() == sorted([cid, made]), 300)

        def status_of_north() -> dict[str, Any]:
            status, out, _ = run("north", "swarm", "status", there, "--json")
            assert status == 0
            (seen,) = json.loads(out)
            return dict(seen)

        # Nodes of two machines dial each other by themselves, and again after some seconds.
        assert eventually(lambda: status_of_north()["members_seen"] == 2, 300)
        seen = status_of_north()
        assert (seen["peers_seen"], seen["cluster"]) == (2, "1.1.6")
        assert seen["copies"]["pinned"] >= 5
        assert run("north", "swarm", "down", there)[1] == "it has ended\n"
        assert run("north", "swarm", "down", there)[1] == "it does not run\n"
    # They are to have new secrets: north is asked to stay, then takes them over.
    before = (here / "swarm.key").read_text()
    assert "no member that others run" in run("center", "swarm", "rekey", here, "--without", "x")[2]
    assert run("center", "swarm", "rekey", here)[0] == 0
    again = tmp_path / "again"
    inviting = ("swarm", "invite", here, tmp_path / "north.key", "--out", again)
    assert run("center", *inviting)[0] == 0
    assert run("north", "swarm", "renew", again, there, "--inviter", inviter)[0] == 0
    for name in ("swarm.key", "cluster.secret"):
        assert (there / name).read_text() == (here / name).read_text()
    assert (there / "swarm.key").read_text() != before
    assert sorted(path.stem for path in (there / "members").iterdir()) == ["center", "harbor"]


def test_engines_are_shown_with_place_and_version(run: Run) -> None:
    status, out, _ = run("center", "engines", "--json")
    assert status == 0
    found = json.loads(out)
    assert [(item["program"], item["found"]) for item in found] == [
        ("ipfs", "0.43.0"),
        ("ipfs-cluster-service", "1.1.6"),
        ("ipfs-cluster-ctl", "1.1.6"),
    ]
    assert all(Path(item["path"]).is_file() for item in found)


def test_an_engine_that_is_missing_is_said_and_costs_the_exit_status(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    status, out, _ = run("center", "engines")
    assert status == 1
    assert out.count("missing") >= 3
