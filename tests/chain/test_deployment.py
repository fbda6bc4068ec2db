"""The code at each address is the committed one, wired as the deployment says."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from chain import artifacts, verify
from chain.anvil import Anvil
from chain.client import Client
from chain.deploy import WIRING, Deployment, deploy, predict, verify_deployment
from chain.errors import CodeMismatch, DeploymentUnreadable
from chain.node import Node
from chain.types import Address, Call
from tests.chain.kit import COINS, Chain

pytestmark = pytest.mark.engine("anvil")


def test_a_deployment_outlives_its_file(deployment: Deployment) -> None:
    assert Deployment.from_json(deployment.to_json()) == deployment


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"chain_id": 1}'])
def test_a_damaged_file_says_so(text: str) -> None:
    with pytest.raises(DeploymentUnreadable, match="operator"):
        Deployment.from_json(text)


def test_deploying_again_with_the_same_key_changes_nothing(
    operator: Client, deployment: Deployment
) -> None:
    before = operator.node.nonce(operator.address, block="latest")
    assert deploy(operator, token=True) == deployment
    assert operator.node.nonce(operator.address, block="latest") == before


def test_deploying_goes_on_where_it_stopped(anvil: Anvil, tmp_path: Path) -> None:
    client = Client(Node(anvil.url), os.urandom(32), tmp_path / "outbox.sqlite")
    anvil.fund(client.address, COINS)
    places = predict(client.address, 0)
    call = Call("AccessManager", None, _creation("AccessManager", client.address))
    client.send(call, step="deploy-AccessManager")
    assert dict(deploy(client).addresses) == places


def test_another_transaction_in_between_is_noticed(anvil: Anvil, tmp_path: Path) -> None:
    client = Client(Node(anvil.url), os.urandom(32), tmp_path / "outbox.sqlite")
    anvil.fund(client.address, COINS)
    call = Call("AccessManager", None, _creation("AccessManager", client.address))
    client.send(call, step="deploy-AccessManager")
    client.send(Call("nothing", client.address, b""))
    with pytest.raises(CodeMismatch, match="came between"):
        deploy(client)


@pytest.mark.parametrize("name", WIRING)
def test_one_changed_byte_of_code_is_noticed(
    operator: Client, deployment: Deployment, name: str
) -> None:
    block = operator.block_number()
    code = operator.node.code(deployment.address_of(name), block=block)
    verify.check_code(name, code, deployment.addresses, deployment.chain_id)
    spoiled = bytearray(code)
    spoiled[len(code) // 2] ^= 1
    with pytest.raises(CodeMismatch, match=name):
        verify.check_code(name, bytes(spoiled), deployment.addresses, deployment.chain_id)
    with pytest.raises(CodeMismatch, match="no contract"):
        verify.check_code(name, b"", deployment.addresses, deployment.chain_id)


@pytest.mark.parametrize("name", [n for n in WIRING if artifacts.load(n).immutables])
def test_a_contract_wired_to_others_is_noticed(
    operator: Client, deployment: Deployment, name: str
) -> None:
    """As when a cheat deploys the true code over an escrow of its own."""
    code = operator.node.code(deployment.address_of(name), block=operator.block_number())
    for part in WIRING[name]:
        if artifacts.load(part).name == "AccessManager":
            continue
        other = {**deployment.addresses, part: Address("0x" + "66" * 20)}
        with pytest.raises(CodeMismatch):
            verify.check_code(name, code, other, deployment.chain_id)


def test_a_deployment_on_another_chain_is_refused(
    operator: Client, deployment: Deployment, chain: Chain
) -> None:
    other = dataclasses.replace(deployment, genesis=b"\1" * 32)
    with pytest.raises(CodeMismatch, match="another chain"):
        verify_deployment(operator, other, block_identifier=operator.block_number())


def _creation(name: str, admin: Address) -> bytes:
    return artifacts.load(name).creation + bytes.fromhex(admin[2:]).rjust(32, b"\0")
