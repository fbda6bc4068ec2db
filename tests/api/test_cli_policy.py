"""`consilium hospital policy`: dry runs in a home, without a key and without a chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.home import Home, HomeConfig, HomeRole
from federated.codec import Address, Form, to_tree
from federated.hospital import Policy, read_policy
from federated.journal import Journal
from federated.spec_files import read_json
from federated.studies import wisconsin_spec

NAMES = [item.name for item in fields(Policy)]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "north"
    config = HomeConfig(HomeRole.HOSPITAL, "north", "http://127.0.0.1:1", str(tmp_path / "store"))
    Home.create(path, config, None, "passphrase", light=True)
    monkeypatch.delenv("CONSILIUM_PASSPHRASE", raising=False)
    return path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def found(*arguments: str) -> tuple[int, str, str]:
        status = main(["--home", str(home), "hospital", "policy", *arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return found


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(wisconsin_spec(auditors=[Address("0x" + "a1" * 20)]).to_json())
    return path


def _rules(out: str) -> dict[str, str]:
    tree: Any = json.loads(out)
    return {item["rule"]: item["outcome"] for item in tree["rules"]}


def test_without_a_file_the_defaults_hold_and_are_marked(run: Run) -> None:
    status, out, _ = run("show")
    assert status == 0
    assert "of the defaults" in out
    assert out.count("default") == len(NAMES) + 1
    assert all(f" {name} " in out for name in NAMES)


def test_what_the_file_sets_is_told_from_the_defaults(run: Run, home: Path) -> None:
    (home / "policy.toml").write_text('least_cohort = 50\nmodes = ["open"]\n')
    _, out, _ = run("show", "--json")
    (rules,) = json.loads(out).values()
    assert rules["least_cohort"] == {"value": 50, "default": False}
    assert rules["modes"] == {"value": ["open"], "default": False}
    assert rules["epsilon_per_year"] == {"value": None, "default": True}
    assert list(rules) == NAMES


def test_a_dry_run_lists_every_rule_and_ends_with_0_where_none_refuses(
    run: Run, spec: Path
) -> None:
    status, out, _ = run("check", str(spec))
    assert status == 0
    assert "no rule refuses" in out
    assert read_json(spec.read_text()).digest().hex() in out
    assert all(f" {name} " in out for name in NAMES)


def test_a_dry_run_ends_with_1_and_names_every_rule_that_refuses(
    run: Run, spec: Path, home: Path
) -> None:
    (home / "policy.toml").write_text('models = ["mlp"]\nmost_rounds = 4\nleast_cohort = 30\n')
    status, out, _ = run("check", str(spec))
    assert status == 1
    assert "refused by models, most_rounds; change these rules" in out
    status, out, _ = run("check", str(spec), "--json")
    assert status == 1
    assert json.loads(out)["refused"] == ["models", "most_rounds"]
    found = _rules(out)
    assert list(found) == NAMES
    assert {found["models"], found["most_rounds"]} == {"refuses"}
    assert found["least_cohort"] == "later"
    assert found["modes"] == "passes"


def test_a_policy_that_is_named_holds_beside_the_homes(
    run: Run, spec: Path, home: Path, tmp_path: Path
) -> None:
    (home / "policy.toml").write_text("most_rounds = 4\n")
    other = tmp_path / "other.toml"
    other.write_text("most_epochs = 1\n")
    _, out, _ = run("check", str(spec), "--policy", str(other), "--json")
    assert json.loads(out)["refused"] == ["most_rounds", "most_epochs"]


def test_a_dry_run_opens_no_key_and_leaves_the_home_as_it_was(
    run: Run, spec: Path, home: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    for path in (home / "keys").iterdir():
        path.rename(path.with_suffix(".away"))
    assert run("check", str(spec))[0] == 0
    assert run("show")[0] == 0
    for path in (home / "keys").iterdir():
        path.rename(next(old for old in before if old.stem == path.stem))
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert after == {path: before[path] for path in after}


def test_a_spec_that_names_a_key_twice_is_judged_as_it_is_digested(run: Run, spec: Path) -> None:
    """A reader that takes the first of two keys would show another study than the one opened."""
    honest = read_json(spec.read_text())
    spec.write_text(spec.read_text().replace('"rounds": 5', '"rounds": 5, "rounds": 256', 1))
    read = read_json(spec.read_text())
    assert read.rounds == 256
    _, out, _ = run("check", str(spec), "--json")
    tree = json.loads(out)
    assert tree["spec"] == read.digest().hex() != honest.digest().hex()
    assert "256" in next(item["why"] for item in tree["rules"] if item["rule"] == "most_rounds")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("spec.json", b"{", "not JSON"),
        ("spec.toml", b"= 1", "not TOML"),
        ("spec.json", b"\xff\xfe", "is no text"),
        ("spec.json", b"[" * 100_000, "not JSON"),
        ("spec.json", b'{"rounds": 1e400}', "study spec"),
    ],
)
def test_what_is_no_spec_is_said_in_one_line(
    run: Run, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    status, out, err = run("check", str(path))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err


def test_a_broken_policy_is_an_error_of_every_command(run: Run, spec: Path, home: Path) -> None:
    (home / "policy.toml").write_text("least_cohorts = 20\n")
    for arguments in (["show"], ["check", str(spec)]):
        status, _, err = run(*arguments)
        assert status == 1
        assert "the nearest known is least_cohort" in err


def test_check_reports_a_broken_policy_among_the_homes_settings(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "policy.toml").write_text("least_cohort = nan\n")
    assert main(["--home", str(home), "check"]) == 1
    shown = capsys.readouterr().out
    assert "a whole number is expected" in next(x for x in shown.splitlines() if "policy" in x)


def test_the_policy_under_which_a_study_was_approved_is_shown_beside_the_file(
    run: Run, home: Path
) -> None:
    words = to_tree(Policy(least_cohort=40), Policy, Form.TEXT)
    Journal(home / "journal").put("approved-3", {"spec": "00" * 32, "policy": words})
    _, out, _ = run("show", "--study", "3", "--json")
    approved, now = json.loads(out).values()
    assert (approved["least_cohort"]["value"], now["least_cohort"]["value"]) == (40, 20)
    status, _, err = run("show", "--study", "4")
    assert status == 1
    assert "study 4 is not approved here" in err


def test_init_writes_the_defaults_once(run: Run, home: Path) -> None:
    status, _, _ = run("init")
    assert status == 0
    assert read_policy(home / "policy.toml") == Policy()
    assert (home / "policy.toml").stat().st_mode & 0o777 == 0o600
    (home / "policy.toml").write_text("least_cohort = 99\n")
    status, _, err = run("init")
    assert status == 1
    assert "is there already" in err
    assert read_policy(home / "policy.toml").least_cohort == 99


def test_a_home_of_another_role_has_no_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = HomeConfig(HomeRole.CENTER, "center", "http://127.0.0.1:1", "/nowhere")
    Home.create(tmp_path / "center", config, None, "passphrase", light=True)
    assert main(["--home", str(tmp_path / "center"), "hospital", "policy", "show"]) == 1
    assert "home of a center, not of a hospital" in capsys.readouterr().err
