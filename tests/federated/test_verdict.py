from __future__ import annotations

import pytest

from chain.errors import LogsDisagree, NodeDown
from federated.auditor import Check, Level, Outcome, Verdict
from federated.auditor.verdict import Checks, Place
from federated.errors import RecordError, Unjudged
from storage.errors import (
    CorruptBlock,
    MissingBlock,
    NotARecipient,
    StorageError,
    Unanswered,
    Unreachable,
)


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


HOLDS, WRONG = Check("code", True), Check("root", False)
GONE, SILENT = Check("model", False, erased=True), Check("model", False, unanswered=True)


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ([HOLDS], Outcome.OK),
        ([HOLDS, GONE], Outcome.ERASED),
        ([HOLDS, SILENT], Outcome.INCOMPLETE),
        ([HOLDS, GONE, SILENT], Outcome.INCOMPLETE),
        ([HOLDS, GONE, SILENT, WRONG], Outcome.TAMPERED),
        ([SILENT, WRONG], Outcome.TAMPERED),
        ([], Outcome.TAMPERED),
    ],
)
def test_silence_accuses_nobody_and_excuses_nothing_that_is_wrong(
    checks: list[Check], outcome: Outcome
) -> None:
    verdict = Verdict(1, 1, Level.KEYLESS, tuple(checks))
    assert verdict.outcome is outcome
    assert verdict.ok == (outcome is Outcome.OK)


def _found(error: Exception, cause: Exception | None = None) -> Check:
    checks = Checks()
    with checks.guarded("exclusion", Place(1, 2), lambda: ""):
        raise error from cause
    (check,) = checks.found
    return check


def test_what_nobody_answered_about_is_no_failure_whichever_error_came_of_it() -> None:
    silence = Unanswered("12D3 did not answer")
    assert _found(silence).unanswered
    for error in NotARecipient("no envelope"), Unjudged((2,), "does not open"):
        check = _found(error, silence)
        assert check.unanswered
        assert not check.ok
        assert check.detail == f"{error}; {silence}"
    for cause in MissingBlock("nobody has it"), None:
        assert not _found(NotARecipient("no envelope"), cause).unanswered


@pytest.mark.parametrize("failed", [CorruptBlock, RecordError, LogsDisagree])
def test_an_excuse_that_cannot_be_looked_up_is_a_result_and_no_audits_end(
    failed: type[Exception],
) -> None:
    def excuse() -> str:
        raise failed("the excuse")

    checks, silence = Checks(), Unanswered("12D3 did not answer")
    for error in MissingBlock("gone"), silence:
        with checks.guarded("model-bytes", Place(1), excuse):
            raise error
    gone, open_ = checks.found
    assert gone == Check(
        "model-bytes", False, 1, None, "gone; whether it was erased cannot be told: the excuse"
    )
    assert open_.unanswered


def test_an_excuse_that_came_of_silence_is_open() -> None:
    def excuse() -> str:
        raise CorruptBlock("rotten here") from Unanswered("12D3 did not answer")

    checks = Checks()
    with checks.guarded("model-bytes", excuse=excuse):
        raise MissingBlock("gone")
    (check,) = checks.found
    assert check.unanswered
    assert "12D3" in check.detail


@pytest.mark.parametrize("down", [Unreachable, NodeDown])
def test_an_excuse_that_nothing_is_known_of_is_raised(down: type[Exception]) -> None:
    def excuse() -> str:
        raise down("down")

    with pytest.raises(down), Checks().guarded("model-bytes", excuse=excuse):
        raise MissingBlock("gone")


def test_a_tombstone_that_a_silent_member_may_have_is_not_said_to_be_missing() -> None:
    def excuse() -> str:
        raise Unanswered("12D3 did not tell")

    checks = Checks()
    for error in MissingBlock("gone"), RecordError("another root"), StorageError("a bad signature"):
        with checks.guarded("update-manifest", excuse=excuse):
            raise error
    missing, *wrong = checks.found
    assert missing.unanswered
    assert missing.detail == "12D3 did not tell"
    assert not any(check.unanswered for check in wrong)
