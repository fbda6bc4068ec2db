"""The image is made from locks alone, holds no secret, and runs as nobody in particular."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.tooling.dockerfile import stages
from tests.tooling.kit import ROOT, load

BUILDER, IMAGE = stages()
NEVER = (
    ".ci",
    ".compose",
    ".consilium",
    ".env",
    ".git",
    ".venv",
    "build",
    "cache",
    "deployment.json",
    "homes",
    "node_modules",
    "passphrase",
    "records.sqlite",
    "tests",
)


def tracked() -> list[str]:
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.splitlines()


def allowed() -> list[str]:
    """What .dockerignore lets through; it begins by refusing everything."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    return [rule[1:].rstrip("/") for rule in rules[1:] if rule.startswith("!")]


def context_sources() -> list[str]:
    copies = [copy for stage in (BUILDER, IMAGE) for copy in stage.copies() if not copy.stage]
    return sorted({source for copy in copies for source in copy.sources})


def test_both_stages_begin_with_one_python_pinned_to_its_patch() -> None:
    assert BUILDER.base == IMAGE.base
    found = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+", IMAGE.base)
    assert found is not None
    setup = load(ROOT / "tools" / "setup.py")
    minor = tuple(map(int, found[1].split(".")))
    assert setup.OLDEST_PYTHON <= minor <= setup.NEWEST_PYTHON


def test_what_is_copied_is_in_git_and_gets_past_dockerignore() -> None:
    files = tracked()
    for source in context_sources():
        assert any(name == source or name.startswith(f"{source}/") for name in files), source
    assert allowed() == context_sources()


@pytest.mark.parametrize("name", NEVER)
def test_no_secret_and_no_data_reach_the_builder(name: str) -> None:
    for rule in allowed():
        assert rule != name
        assert not name.startswith(f"{rule}/")
        assert "*" not in rule


def test_each_package_is_installed_from_a_lock_with_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image's only commands are those of the set-up, which are recorded here."""
    setup = place_builder(tmp_path)
    ran: list[list[str]] = []
    monkeypatch.setattr(setup, "run", lambda *words: ran.append([str(word) for word in words]))
    monkeypatch.setattr(setup, "link_node", lambda: None)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for text in BUILDER.of("RUN"):
        python, program, *arguments = shlex.split(text)
        assert (python, program) == ("python", "tools/setup.py")
        assert arguments[0] == "--only"
        step = arguments[1]
        assert step in setup.TITLES
        if step != "node":
            setup.perform(step, "default")
    assert [shlex.split(text)[3] for text in BUILDER.of("RUN")] == ["python", "node", "project"]
    installs = [words for words in ran if {"install", "sync"} & set(words)]
    assert len(installs) == 3
    for words in installs:
        assert "--require-hashes" in words or {"--offline", "--no-deps"} <= set(words)


def place_builder(folder: Path) -> ModuleType:
    """The set-up among what the builder has copied until the last of its commands."""
    for copy in BUILDER.copies():
        for source, place in copy.places():
            target = folder / place.removeprefix("/app/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / source)
    # A program finds its checkout by its own place.
    for name in ("setup.py", "workbench.py"):
        text = (ROOT / "tools" / name).read_text()
        (folder / "tools" / name).unlink()
        (folder / "tools" / name).write_text(text)
    return load(folder / "tools" / "setup.py")


def test_the_builder_has_all_that_the_stamps_are_made_of(tmp_path: Path) -> None:
    setup = place_builder(tmp_path)
    assert setup.pending(None) == ["python", "project", "node"]


def test_nothing_is_fetched_but_by_the_set_up() -> None:
    for stage in (BUILDER, IMAGE):
        assert not stage.of("ADD")
        for _, text in stage.instructions:
            addresses = re.findall(r"https?://([\w.]+)", text)
            assert set(addresses) <= {"127.0.0.1"}
    assert IMAGE.of("RUN") == []
    assert {copy.stage for copy in IMAGE.copies()} == {"", BUILDER.name}


def test_it_runs_as_nobody_who_owns_anything() -> None:
    (user,) = IMAGE.of("USER")
    uid, gid = map(int, user.split(":"))
    assert uid >= 10000
    assert gid >= 10000
    assert all("--chown" not in text for text in IMAGE.of("COPY"))


def test_no_variable_holds_a_secret() -> None:
    for stage in (BUILDER, IMAGE):
        for text in (*stage.of("ENV"), *stage.of("ARG")):
            assert not re.search(r"(?i)pass|secret|token|key", text)


def test_the_command_and_its_health_check_are_the_apis() -> None:
    (health,) = IMAGE.of("HEALTHCHECK")
    assert "/v1/ready" in health
    (port,) = IMAGE.of("EXPOSE")
    assert f":{port}/" in health
    (command,) = IMAGE.of("CMD")
    assert json.loads(command)[3] == "serve"


def test_its_labels_say_the_version_of_the_project() -> None:
    (label,) = IMAGE.of("LABEL")
    found = dict(pair.split("=", 1) for pair in shlex.split(label))
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    said = {name.rsplit(".", 1)[1]: text for name, text in found.items()}
    assert said == {
        "title": "Consilium",
        "description": project["description"],
        "version": project["version"],
        "licenses": project["license"],
    }
