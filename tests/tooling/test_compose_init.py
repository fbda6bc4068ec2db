"""`make compose-init` makes secrets once, for one owner, and never touches what is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tooling.kit import ROOT, load

PROGRAM = ROOT / "tools" / "compose_init.py"
OWNER = "1000:1000" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"

pytestmark = pytest.mark.engine("compose", "kubo", "cluster")


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROGRAM, "--folder", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(project: Path, tmp_path: Path) -> Path:
    """What it made, as a copy that a test may spoil."""
    folder = tmp_path / "compose"
    shutil.copytree(project / ".compose", folder)
    return folder


def test_nobody_but_the_owner_can_read_anything(project: Path) -> None:
    uid = int(OWNER.split(":")[0])
    for path in (project / ".compose", *(project / ".compose").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == uid, path


def test_a_second_run_changes_nothing(made: Path) -> None:
    before = contents(made)
    done = init(made)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(made) == before


def test_what_is_missing_is_made_without_replacing_the_rest(made: Path) -> None:
    before = contents(made)
    (made / "secrets" / "passphrase").unlink()
    done = init(made)
    assert done.returncode == 0
    assert done.stderr.count("is made") == 1
    after = contents(made)
    assert after.pop(made / "secrets" / "passphrase") != before.pop(made / "secrets" / "passphrase")
    assert after == before


def test_a_configuration_changed_by_hand_is_kept_and_named(made: Path) -> None:
    config = made / "kubo" / "north" / "repo" / "config"
    changed = json.loads(config.read_text())
    changed["Datastore"]["StorageMax"] = "1TB"
    config.write_text(json.dumps(changed))
    done = init(made)
    assert done.returncode == 0
    assert f"{config} is left as it is" in done.stderr
    assert json.loads(config.read_text()) == changed


def test_an_interrupted_run_is_taken_up_again(made: Path) -> None:
    """Stopped between Kubo's own configuration and ours, a node must not stay open."""
    repo = made / "kubo" / "harbor" / "repo"
    closed = (repo / "config").read_text()
    shutil.copy(repo / "initial", repo / "config")
    assert init(made).returncode == 0
    assert json.loads((repo / "config").read_text()) == json.loads(closed)
    (repo / "initial").unlink()
    done = init(made)
    assert done.returncode == 1
    assert f"{repo} was left half made: remove it" in done.stderr


def test_containers_never_run_as_root(tmp_path: Path) -> None:
    done = init(tmp_path / "compose", "--owner", "0:0")
    assert done.returncode == 1
    assert "do not run as root" in done.stderr
    assert not (tmp_path / "compose").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_says_for_whom_or_is_told_by_sudo(tmp_path: Path) -> None:
    module = load(PROGRAM)
    with pytest.raises(module.ToolError, match="--owner UID:GID"):
        module.chosen_owner(None, {})
    assert module.chosen_owner(None, {"SUDO_UID": "1001", "SUDO_GID": "1002"}) == (1001, 1002)


@pytest.mark.parametrize("owner", ["1000", "me:us", "-1:5", "1000:", ":"])
def test_an_owner_that_is_none_is_refused(tmp_path: Path, owner: str) -> None:
    done = init(tmp_path / "compose", f"--owner={owner}")
    assert done.returncode == 1
    assert "is no UID:GID" in done.stderr
    assert not (tmp_path / "compose").exists()


def test_it_stays_with_its_first_owner(made: Path) -> None:
    done = init(made, "--owner", "1234:1234")
    assert done.returncode == 1
    assert f"belongs to {OWNER}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_link_in_the_folder_gives_no_foreign_file_away(made: Path, tmp_path: Path) -> None:
    """Who runs the containers could place one, and wait for root to run this again."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").touch()
    (made / "homes" / "file").symlink_to(foreign / "file")
    (made / "homes" / "folder").symlink_to(foreign)
    assert init(made).returncode == 0
    assert foreign.stat().st_uid == 0
    assert (foreign / "file").stat().st_uid == 0


@pytest.mark.parametrize(
    "part", ["secrets", "kubo/north", "kubo/harbor/repo", "cluster/center/cluster", "ways/north"]
)
def test_nothing_is_written_through_a_link(made: Path, tmp_path: Path, part: str) -> None:
    shutil.rmtree(made / part)
    (tmp_path / "elsewhere").mkdir()
    (made / part).symlink_to(tmp_path / "elsewhere")
    done = init(made)
    assert done.returncode == 1
    assert f"{made / part} is a link" in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = init(tmp_path / "file" / "compose", "--owner", OWNER)
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_validators_are_made_whole_after_an_interruption_and_never_made_anew(made: Path) -> None:
    besu = made / "besu"
    before = contents(made)
    (besu / "3" / "permissions.toml").unlink()
    assert init(made).returncode == 0
    assert contents(made) == before
    changed = (besu / "2" / "permissions.toml").read_text().replace("172.30.66.11", "172.30.66.19")
    (besu / "2" / "permissions.toml").write_text(changed)
    assert init(made).returncode == 0
    assert (besu / "2" / "permissions.toml").read_text() == changed
    (besu / "3" / "permissions.toml").unlink()
    (besu / "1" / "key").unlink()
    done = init(made)
    assert done.returncode == 1
    assert "restore the rest" in done.stderr
    assert not (besu / "1" / "key").exists()
