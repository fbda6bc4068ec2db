"""`consilium chain deploy` and `participant admit` under a timelock, as an operator types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli.main import main
from api.home import Home
from chain.access import DELAY_S
from chain.anvil import Anvil
from chain.contracts import Contracts
from chain.participants import Role
from chain.types import NO_ADDRESS
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


@pytest.mark.parametrize("delay_s", [0, 86_400])
def test_whoever_was_dismissed_is_admitted_again(desk: Desk, tmp_path: Path, delay_s: int) -> None:
    deployment = tmp_path / "deployment.json"
    given = ["--delay", str(delay_s), "--out", str(deployment)]
    desk.run("operator", "chain", "deploy", *given)
    desk.init("north", "hospital", "--deployment", str(deployment))
    card = str(tmp_path / "north" / "participant.json")
    for _ in range(2):
        for verb, told, role in (
            ("admit", "is admitted as hospital", "hospital"),
            ("dismiss", "is dismissed", "none"),
        ):
            said = desk.run("operator", "participant", verb, card)
            if delay_s:
                assert f"is announced: {verb} again from 20" in said
                desk.run("operator", "chain", "advance", str(delay_s + 1))
                said = desk.run("operator", "participant", verb, card)
            assert told in said
            shown = " ".join(desk.run("north", "participant", "show").split())
            assert f" role {role} " in shown
    assert "has no role" in desk.run("operator", "participant", "dismiss", card)


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


def test_a_back_door_is_shown_whatever_it_looks_like(desk: Desk, tmp_path: Path) -> None:
    """The operator admits by a role of its own, and somebody else may give that role."""
    deployment = tmp_path / "deployment.json"
    desk.run("operator", "chain", "deploy", "--delay", "0", "--out", str(deployment))
    home = Home.open(tmp_path / "operator")
    chain = Contracts(home.client(desk.url), home.deployment())
    hidden = "0x00000000000000000000000000000000000000A1"
    selectors = [chain.participants.admit(NO_ADDRESS, Role.HOSPITAL, bytes(32)).data[:4]]
    participants = chain.participants.address
    for function, *arguments in (
        ("setTargetFunctionRole", participants, selectors, 7),
        ("grantRole", 7, home.address(), DELAY_S),
        ("grantRole", 0, hidden, 0),
        ("grantRole", 0, home.address(), DELAY_S),
    ):
        chain.client.send(chain.access._call(function, *arguments))
    main(["--home", str(home.path), "--rpc", desk.url, "chain", "operators"])
    said = desk.said()
    assert "role 7 may admit, which `chain deploy` never arranges" in said.err
    assert f"{home.address()}  admits after 2 days, 0:00:00" in said.out
    assert f"{hidden}  may let others admit at once" in said.out
    assert f"{hidden}  dismisses at once" in said.out
    told = json.loads(deployment.read_text()) | {"block": chain.client.block_number()}
    deployment.write_text(json.dumps(told))
    given = ["chain", "operators", "--deployment", str(deployment)]
    main(["--home", str(home.path), "--rpc", desk.url, *given])
    assert "is older than block" in desk.said().err
    chain.client.outbox.close()
