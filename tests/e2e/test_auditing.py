"""What an audit says of the code, of nodes that leave logs out, and of its own level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import NodeDown
from chain.node import Node
from chain.rpc import request
from chain.types import Address, Log, StudyId
from federated.auditor import Level, Verdict, replay
from federated.errors import StepError
from storage.errors import Unreachable
from storage.keys import Identity
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")


@pytest.mark.parametrize("name", ["Attestations", "Participants", "Escrow"])
def test_code_that_is_not_the_committed_artifact_is_found(finished: World, name: str) -> None:
    kit.assert_sound(finished)
    address = finished.deployment.address_of(name)
    code = bytearray(finished.center.chain.client.node.code(address, block="latest"))
    code[-1] ^= 1  # behind the last instruction: everything still answers as before
    request(finished.anvil.url, "anvil_setCode", address, "0x" + code.hex())
    request(finished.anvil.url, "evm_mine")
    verdict = finished.audit(Level.KEYLESS, "relayer")
    assert {check.name for check in verdict.failures} == {"code"}
    assert name in verdict.failures[0].detail


class Forgetful(Node):
    """A node that leaves out the logs of one event."""

    def __init__(self, url: str, topic: bytes) -> None:
        super().__init__(url)
        self.topic = topic

    def logs(
        self, address: Address, topics: list[str | None], *, from_block: int, to_block: int
    ) -> list[Log]:
        found = super().logs(address, topics, from_block=from_block, to_block=to_block)
        return [log for log in found if log.topics[0] != self.topic]


def _audit_at(world: World, folder: Path, contract: str, event: str) -> Verdict:
    wrapper = getattr(world.center.chain, contract)
    node = Forgetful(world.anvil.url, wrapper._abi.events[event].hash)
    folder.mkdir()
    (folder / "store").symlink_to(world.folder / "store")
    party = kit.make_party(
        folder, "auditor", world.keys["auditor"], world.anvil.url, world.deployment, node
    )
    verdict = replay(party, world.study, level=Level.KEYED)
    party.chain.client.outbox.close()
    return verdict


@pytest.mark.parametrize(
    ("contract", "event", "check", "number"),
    [
        ("rounds", "Frozen", "freezes", 1),
        ("rounds", "Submitted", "submissions", 1),
        ("rounds", "Finalized", "round-manifest", 1),
        ("consents", "Granted", "cohort", 1),
    ],
)
def test_a_node_that_leaves_logs_out_is_caught_and_nobody_is_accused(
    finished: World, tmp_path: Path, contract: str, event: str, check: str, number: int
) -> None:
    kit.assert_sound(finished)
    verdict = _audit_at(finished, tmp_path / "other", contract, event)
    found = [item for item in verdict.failures if item.name == check]
    assert found
    assert found[0].round_number == number
    lies = [item for item in verdict.failures if "ask another" not in item.detail]
    assert not lies


@pytest.mark.parametrize("event", ["PatientPaid", "Funded"])
def test_payments_that_a_node_leaves_out_are_missed_in_the_sum(
    finished: World, tmp_path: Path, event: str
) -> None:
    verdict = _audit_at(finished, tmp_path / "other", "escrow", event)
    assert "payments" in {check.name for check in verdict.failures}


def test_a_keyed_audit_needs_the_key_of_a_named_auditor(finished: World) -> None:
    for name in "relayer", "north", "center":
        with pytest.raises(StepError, match="no auditor whom study 1 names"):
            replay(finished.party(name), finished.study, level=Level.KEYED)
    auditor = finished.auditor
    stranger = replace(auditor, identity=Identity.generate())
    with pytest.raises(StepError, match="encryption key at hand"):
        replay(stranger, finished.study, level=Level.KEYED)
    with pytest.raises(StepError, match="keyless or keyed"):
        replay(auditor, finished.study, level=Level.NONE)
    assert replay(stranger, finished.study, level=Level.KEYLESS).level is Level.KEYLESS


def test_a_study_that_does_not_exist_is_an_error_and_no_verdict(finished: World) -> None:
    for number in 0, 2:
        with pytest.raises(StepError, match=r"this chain has studies 1 to 1"):
            replay(finished.auditor, StudyId(number), level=Level.KEYLESS)


def test_a_store_or_a_node_that_is_down_is_an_error_and_no_verdict(finished: World) -> None:
    auditor = finished.auditor
    (finished.folder / "store").rename(finished.folder / "gone")
    with pytest.raises(Unreachable):
        replay(auditor, finished.study, level=Level.KEYED)
    (finished.folder / "gone").rename(finished.folder / "store")
    kit.assert_sound(finished)
    finished.anvil.kill()
    with pytest.raises(NodeDown):
        replay(auditor, finished.study, level=Level.KEYED)


def test_the_verdicts_bytes_name_study_block_level_and_every_check(finished: World) -> None:
    verdict = finished.audit(Level.KEYED)
    shown = verdict.to_json()
    assert (shown["study"], shown["level"], shown["ok"]) == (finished.study, "keyed", True)
    assert len(shown["checks"]) == len(verdict.checks)
    assert verdict.to_bytes() == finished.audit(Level.KEYED).to_bytes()
