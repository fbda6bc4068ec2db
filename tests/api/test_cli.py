"""The command line as a whole: help, speed, errors, exit statuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import COMMANDS, command, main
from api.cli.words import sentence
from api.errors import ApiError
from chain.errors import ChainError, TxReverted
from federated.errors import FederatedError
from records.errors import RecordsError
from storage.errors import StorageError


def _walk(found: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, found
    names = list(COMMANDS) if path == ("consilium",) else list(getattr(found, "commands", {}))
    for name in names:
        yield from _walk(found.get_command(None, name), (*path, name))


WHOLE = dict(_walk(command(), ("consilium",)))


@pytest.mark.parametrize("path", WHOLE, ids=" ".join)
def test_every_help_ends_with_an_example_of_that_very_command(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path[1:], "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    example = shown.partition("Example: ")[2]
    words = example.split()
    assert words[0] == "consilium"
    place = 0
    for name in path[1:]:
        place = words.index(name, place) + 1


def test_every_step_of_every_role_has_a_command() -> None:
    paths = {" ".join(path[1:]) for path in WHOLE}
    wanted = {
        *("study request", "study show", "offer make", "offer counter", "offer accept"),
        *("consent grant", "consent revoke", "consent list", "consent usage", "relay"),
        *("hospital approve", "hospital join", "hospital freeze", "hospital train"),
        *("hospital submit", "center open", "center aggregate", "center finalize"),
        *("center settle", "claim", "challenge", "audit", "demo", "check", "participant"),
    }
    assert wanted <= paths


def test_help_imports_neither_torch_nor_the_chain() -> None:
    code = (
        "import sys; from api.cli.main import main; main(['--help']); "
        "print(sorted({'torch', 'web3', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_who_trains_waits_for_torch() -> None:
    names = ", ".join(f"api.cli.{name}" for name in COMMANDS)
    code = f"import sys, {names}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("consilium 0.")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["study", "show", "zero"], ["consent", "grant"], ["audit", "--nonsense"]],
)
def test_wrong_usage_is_one_line_with_a_hint_and_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("consilium: ")
    assert error.count("\n") == 1
    assert "--help`" in error


def test_a_folder_that_is_no_home_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path), "hospital", "quality"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"consilium: {tmp_path} is no home")
    assert "participant init" in error
    assert error.count("\n") == 1


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.cli.check._findings", interrupted)
    assert main(["check"]) == 130


def test_a_traceback_needs_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise ApiError("it failed: do this")

    monkeypatch.setattr("api.cli.check._findings", fails)
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "consilium: it failed: do this\n"
    assert main(["--debug", "check"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unforeseen_error_shows_its_kind_and_place_but_never_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise ValueError("could not convert string to float: '17.99 malignant'")

    monkeypatch.setattr("api.cli.check._findings", fails)
    assert main(["check"]) == 1
    error = capsys.readouterr().err
    assert "unforeseen ValueError at test_cli.py:" in error
    assert "17.99" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("base", [ApiError, ChainError, FederatedError, RecordsError, StorageError])
def test_errors_of_every_package_become_one_line(base: type[Exception]) -> None:
    assert sentence(base("first line\n  second line.")) == "first line second line"


def test_a_refusal_by_a_contract_is_said_in_words_with_its_name() -> None:
    refusal = TxReverted("UnknownRound", {"study": 3, "round": 9}, "Rounds.freeze")
    assert sentence(refusal) == (
        "study 3 has no round 9 yet; wait until the center opens it (UnknownRound)"
    )


def test_a_refusal_without_words_keeps_its_arguments() -> None:
    refusal = TxReverted("SomethingNew", {"account": "0xabc"}, "Rounds.freeze")
    assert sentence(refusal) == (
        "Rounds.freeze was refused by the contract: SomethingNew(account=0xabc)"
    )


def test_a_refusal_whose_arguments_are_others_than_expected_keeps_them() -> None:
    refusal = TxReverted("TooEarly", {"deadline": 7}, "Challenges.expire")
    assert "deadline=7" in sentence(refusal)
