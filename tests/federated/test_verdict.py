from __future__ import annotations

import pytest

from chain.errors import LogsDisagree, NodeDown
from federated.auditor import Check, Level, Verdict
from federated.auditor.verdict import Checks, Place
from federated.errors import RecordError
from storage.errors import MissingBlock, Unreachable


def _fail(error: Exception) -> None:
    raise error


def test_a_verdict_without_checks_is_not_ok() -> None:
    assert not Verdict(1, 1, Level.KEYLESS, ()).ok


def test_a_verdict_is_ok_only_if_every_check_holds() -> None:
    holds, fails = Check("code", True), Check("spec", False)
    assert Verdict(1, 1, Level.KEYLESS, (holds, holds)).ok
    verdict = Verdict(1, 1, Level.KEYED, (holds, fails))
    assert not verdict.ok
    assert verdict.failures == [fails]


@pytest.mark.parametrize("error", [RecordError, MissingBlock, LogsDisagree])
def test_a_foreseen_error_fails_its_check_and_names_the_place(error: type[Exception]) -> None:
    checks = Checks()
    with checks.guarded("round-manifest", Place(2, 1)):
        _fail(error("what was wrong"))
    assert checks.found == [Check("round-manifest", False, 2, 1, "what was wrong")]


@pytest.mark.parametrize("error", [Unreachable, NodeDown, ZeroDivisionError])
def test_what_says_nothing_about_the_study_is_raised(error: type[Exception]) -> None:
    checks = Checks()
    with pytest.raises(error), checks.guarded("code"):
        raise error("down")
    assert checks.found == []


def test_a_detail_is_kept_where_a_check_failed() -> None:
    checks = Checks()
    assert checks.add("root", True, "unused")
    assert not checks.add("root", False, "another root", Place(1, 0))
    assert [check.detail for check in checks.found] == ["", "another root"]
