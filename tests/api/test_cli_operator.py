"""`consilium chain deploy` and `participant admit` under a timelock, as an operator types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.anvil import Anvil
from tests.api.desk import Desk
from tests.chain.kit import COINS

pytestmark = pytest.mark.engine("anvil")


@pytest.fixture
def own() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


@pytest.fixture
def desk(
    own: Anvil,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    """With an operator, who has coins."""
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", "for a test alone")
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    made = Desk(tmp_path, own.url, capsys)
    own.fund(made.init("operator", "operator"), COINS)
    return made


def test_under_a_timelock_admission_is_announced_and_then_holds(desk: Desk, tmp_path: Path) -> None:
    deployment = tmp_path / "deployment.json"
    said = desk.run("operator", "chain", "deploy", "--delay", "86400", "--out", str(deployment))
    operator = (tmp_path / "operator" / "keys" / "address").read_text().strip()
    assert f"{operator}  admits after 1 day, 0:00:00" in said
    assert f"{operator}  dismisses after 1 day, 0:00:00" in said

    desk.init("north", "hospital", "--deployment", str(deployment))
    card = str(tmp_path / "north" / "participant.json")
    announced = desk.run("operator", "participant", "admit", card)
    assert "is announced: admit again from 20" in announced
    assert desk.run("operator", "participant", "admit", card) == announced
    assert "none" in desk.run("north", "participant", "show")
    desk.run("operator", "chain", "advance", "86401")
    assert "is admitted as hospital" in desk.run("operator", "participant", "admit", card)
    assert "was admitted already" in desk.run("operator", "participant", "admit", card)
    seen = desk.run("north", "chain", "operators", "--deployment", str(deployment))
    assert f"{operator}  admits after 1 day, 0:00:00" in seen


def test_on_a_chain_for_development_the_operator_admits_at_once(desk: Desk, tmp_path: Path) -> None:
    deployment = tmp_path / "deployment.json"
    assert "admits at once" in desk.run("operator", "chain", "deploy", "--out", str(deployment))
    desk.init("north", "hospital", "--deployment", str(deployment))
    card = str(tmp_path / "north" / "participant.json")
    assert "is admitted as hospital" in desk.run("operator", "participant", "admit", card)


def test_a_wallet_of_several_hands_takes_over_from_the_deployer(desk: Desk) -> None:
    wallet = "0x00000000000000000000000000000000000000A1"
    said = desk.run("operator", "chain", "deploy", "--operator", wallet, "--delay", "60")
    assert f"{wallet}  admits after 0:01:00" in said
    assert said.count("admits") == 1


def test_no_slip_of_the_hand_locks_the_operator_out_for_years(desk: Desk) -> None:
    wrong = desk.run("operator", "chain", "deploy", "--delay", "172800000", status=2)
    assert "--delay" in wrong
