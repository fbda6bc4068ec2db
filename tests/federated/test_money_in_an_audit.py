"""What an audit says of payments while members are silent: nothing false, and all that is wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chain.types import Address, AgreementId, BlockNumber
from federated.auditor import Check, Level, Outcome, Verdict
from federated.auditor import money as audited
from federated.auditor.cohorts import Consents
from federated.auditor.verdict import Checks
from federated.errors import RewardError
from storage.errors import MissingBlock, Unanswered

NORTH, HARBOR = Address("0x01"), Address("0x02")
BLOCK = BlockNumber(9)
STUDY: Any = SimpleNamespace(number=1, hospitals=(NORTH, HARBOR), terms=None)


def _outcome(checks: Checks) -> Outcome:
    return Verdict(1, BLOCK, Level.KEYLESS, tuple(checks.found)).outcome


# ------------------------------------------------------------------ patients


def _paid(name: int, agreement: int, amount: int) -> Any:
    return SimpleNamespace(id=bytes([name]) * 32, agreement=AgreementId(agreement), amount=amount)


KNOWN, UNSEEN = _paid(1, 1, 10), _paid(2, 2, 20)  # at north; at harbor, whose list is unanswered
DEARER, TWICE, STRANGE = _paid(1, 1, 11), KNOWN, _paid(3, 1, 10)


def _patients(payments: list[Any]) -> Checks:
    """One round that paid: north's cohort is known, harbor's nobody can look for now."""
    tiers = {
        AgreementId(1): SimpleNamespace(hospital=NORTH, price=10),
        AgreementId(2): SimpleNamespace(hospital=HARBOR, price=20),
    }
    consents = Consents(tiers, {})  # type: ignore[arg-type]
    consents.cohorts[1, 0] = frozenset({KNOWN.id})
    consents.unanswered.add((1, 1))
    rounds = SimpleNamespace(
        count=lambda *_, **__: 1,
        pays=lambda *_, **__: True,
        round=lambda *_, **__: SimpleNamespace(submitted=0b11),
    )
    escrow = SimpleNamespace(patients_paid=lambda *_, **__: payments)
    party: Any = SimpleNamespace(chain=SimpleNamespace(rounds=rounds, escrow=escrow))
    checks = Checks()
    audited._check_patients(party, STUDY, BLOCK, consents, checks)
    return checks


def test_a_payment_to_an_id_of_an_unanswered_list_leaves_the_audit_incomplete() -> None:
    checks = _patients([KNOWN, UNSEEN])
    assert [(check.name, check.unanswered) for check in checks.found] == [
        ("patient-payments", True)
    ]
    assert _outcome(checks) is Outcome.INCOMPLETE


@pytest.mark.parametrize("wrong", [DEARER, TWICE, UNSEEN], ids=["dearer", "twice", "twice unseen"])
@pytest.mark.parametrize("last", [True, False])
def test_what_is_paid_wrongly_hides_behind_no_unanswered_list(wrong: Any, last: bool) -> None:
    payments = [KNOWN, UNSEEN, wrong] if last else [wrong, KNOWN, UNSEEN, wrong]
    checks = _patients(payments)
    assert _outcome(checks) is Outcome.TAMPERED
    (check,) = checks.found
    assert "not due" in check.detail or "unknown" in check.detail


def test_an_id_in_no_cohort_of_a_hospital_that_answered_is_wrong_whoever_is_silent() -> None:
    assert _outcome(_patients([KNOWN, UNSEEN, STRANGE])) is Outcome.TAMPERED


# ------------------------------------------------------------------ hospitals


def _hospitals(
    monkeypatch: pytest.MonkeyPatch, error: Exception, barred: int = 0
) -> tuple[Checks, list[Check]]:
    """A root stands and both hospitals were paid by it; what it was computed from does not come."""
    rule = audited.RewardRule.CONTRIBUTION
    study: Any = SimpleNamespace(number=1, terms=SimpleNamespace(rule=rule, hospital_pool=100))
    paid = [SimpleNamespace(index=0, amount=60), SimpleNamespace(index=1, amount=40)]
    posted = SimpleNamespace(root=bytes([1]) * 32, rejected=False)
    escrow = SimpleNamespace(
        reward_root=lambda *_, **__: posted, hospitals_paid=lambda *_, **__: paid
    )
    rounds = SimpleNamespace(barred=lambda *_, **__: barred)
    party: Any = SimpleNamespace(chain=SimpleNamespace(rounds=rounds, escrow=escrow))

    def shares(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(audited, "shares_by_rule", shares)
    checks = Checks()
    audited._check_hospitals(party, study, BLOCK, {0: 1, 1: 1}, (), checks)
    return checks, [check for check in checks.found if check.name == "hospital-share"]


def test_a_share_that_cannot_be_computed_for_a_silent_member_accuses_no_hospital(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks, shares = _hospitals(monkeypatch, Unanswered("12D3 did not answer"))
    assert _outcome(checks) is Outcome.INCOMPLETE
    assert [(check.hospital, check.unanswered) for check in shares] == [(0, True), (1, True)]
    assert "paid 60" in shares[0].detail


def test_a_barred_hospital_that_was_paid_is_named_whoever_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks, shares = _hospitals(monkeypatch, Unanswered("12D3 did not answer"), barred=0b10)
    assert _outcome(checks) is Outcome.TAMPERED
    assert [(check.hospital, check.unanswered) for check in shares] == [(0, True), (1, False)]
    assert shares[1].detail == "paid 40, due 0"


@pytest.mark.parametrize("error", [MissingBlock("nobody has it"), RewardError("reported twice")])
def test_a_root_that_nobody_can_compute_is_named_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    checks, shares = _hospitals(monkeypatch, error)
    assert [(check.name, check.unanswered) for check in checks.found] == [("reward-root", False)]
    assert _outcome(checks) is Outcome.TAMPERED
    assert not shares
