"""One round through the wrappers, and what a node that lies about it is told."""

from __future__ import annotations

from typing import Any

import pytest

from chain.challenges import Ground, Leaf
from chain.client import Client
from chain.consent_types import Reason, Withdrawal, consent_id
from chain.contracts import Contracts
from chain.errors import LogsDisagree, TxReverted
from chain.keys import address_of
from chain.merkle import hash_cohort_leaf
from chain.node import Node
from chain.types import RoundNumber, StudyId
from tests.chain.kit import Chain, Relay, RoundPath

pytestmark = pytest.mark.engine("anvil")


def test_a_round_is_read_as_it_was_written(chain: Chain) -> None:
    path = RoundPath(chain)
    rounds, block = path.center.rounds, path.center.client.block_number()
    (frozen,) = rounds.freezes(path.study, path.round, to_block=block)
    (submitted,) = rounds.submissions(path.study, path.round, to_block=block)
    assert frozen.freeze == path.freeze
    assert (submitted.index, submitted.manifest) == (0, b"\6" * 32)
    call = rounds.finalize(path.study, path.round, 0b1, b"\x09" * 32, b"\x0a" * 32)
    receipt = path.center.client.send(call)
    event = rounds.finalized(path.study, path.round, to_block=receipt.block)
    found = rounds.round(path.study, path.round, block_identifier=receipt.block)
    assert (found.finalized, found.included, found.state) == (True, 1, event.state)
    assert not rounds.round(path.study, path.round, block_identifier=block).finalized


def test_openzeppelins_proof_check_accepts_every_leaf_of_our_tree_and_no_other(
    chain: Chain,
) -> None:
    path = RoundPath(chain)
    at = {"block_identifier": path.center.client.block_number()}
    ground = path.center.challenges.ground_of
    for leaf in path.leaves:
        proof = path.tree.proof(hash_cohort_leaf(leaf))
        assert ground(path.freeze, leaf, proof, **at) == Ground.NONE
    forged = Leaf(0, path.leaves[1].id, path.leaves[0].record)
    with pytest.raises(TxReverted, match="WrongProof"):
        ground(path.freeze, forged, path.tree.proof(hash_cohort_leaf(path.leaves[0])), **at)


def test_activity_of_many_ids_is_read_at_a_past_block_in_one_call(chain: Chain) -> None:
    path = RoundPath(chain)
    consents = path.hospital.consents
    before = path.hospital.client.block_number()
    key = path.keys[0]
    withdrawal = Withdrawal(address_of(key), path.agreement, 0, Reason.PAPER)
    after = path.hospital.client.send(consents.revoke_by_hospital([withdrawal])).block
    ids = [leaf.id for leaf in path.leaves] * 100
    revoked = consent_id(address_of(key), path.agreement)
    flags = consents.active_at(ids, before, block_identifier=after)
    assert flags == [True] * 300
    flags = consents.active_at(ids, after, block_identifier=after)
    assert flags == [consent != revoked for consent in ids]
    assert not consents.is_active(revoked, after, block_identifier=after)


def test_a_freeze_of_a_block_that_vanished_is_refused_by_name(chain: Chain) -> None:
    path = RoundPath(chain, submitted=False)
    wrong = path.make_freeze(snapshot_hash=b"\1" * 32)
    with pytest.raises(TxReverted, match=f"BadSnapshot.snapshot={wrong.snapshot}"):
        path.hospital.client.send(path.hospital.rounds.freeze(wrong))
    path.hospital.client.send(path.hospital.rounds.freeze(path.freeze))


def read_through(relay: Relay, path: RoundPath) -> Contracts:
    return Contracts(Client(Node(relay.url)), path.center.deployment)


def test_logs_that_a_node_altered_are_refused(chain: Chain, relay: Relay) -> None:
    path = RoundPath(chain)
    block = path.center.client.block_number()

    def altered(body: dict[str, Any], ask: Any) -> Any:
        answer = ask(body)
        for log in answer["result"]:
            log["data"] = log["data"][:-64] + "ff" * 32
        return {"result": answer["result"]}

    relay.instead["eth_getLogs"] = altered
    rounds = read_through(relay, path).rounds
    with pytest.raises(LogsDisagree, match="submission"):
        rounds.submissions(path.study, path.round, to_block=block)
    with pytest.raises(LogsDisagree, match="freeze"):
        rounds.freezes(path.study, path.round, to_block=block)


def test_logs_that_a_node_leaves_out_are_missed(chain: Chain, relay: Relay) -> None:
    path = RoundPath(chain)
    block = path.center.client.block_number()
    relay.instead["eth_getLogs"] = lambda _body, _ask: {"result": []}
    rounds = read_through(relay, path).rounds
    with pytest.raises(LogsDisagree, match="submitted"):
        rounds.submissions(path.study, path.round, to_block=block)
    with pytest.raises(LogsDisagree, match="frozen"):
        rounds.freezes(path.study, path.round, to_block=block)
    with pytest.raises(LogsDisagree, match="not finalized"):
        rounds.finalized(path.study, path.round, to_block=block)


def test_ranges_of_logs_shrink_where_the_node_caps_them(chain: Chain, relay: Relay) -> None:
    path = RoundPath(chain)
    block = path.center.client.block_number()
    spans: list[int] = []

    def capped(body: dict[str, Any], ask: Any) -> Any:
        asked = body["params"][0]
        spans.append(int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1)
        if spans[-1] > 5:
            return {"error": {"code": -32005, "message": "query exceeds 5 blocks"}}
        return ask(body)

    relay.instead["eth_getLogs"] = capped
    rounds = read_through(relay, path).rounds
    assert len(rounds.freezes(path.study, path.round, to_block=block)) == 1
    assert max(spans) > 5
    assert spans[-1] <= 5


def test_an_unknown_study_is_named(chain: Chain) -> None:
    operator = chain.operator
    block = operator.client.block_number()
    with pytest.raises(TxReverted, match=r"UnknownStudy\(study=999\)"):
        operator.studies.terms(StudyId(999), block_identifier=block)
    with pytest.raises(TxReverted, match="UnknownRound"):
        operator.rounds.round(StudyId(1), RoundNumber(99), block_identifier=block)
