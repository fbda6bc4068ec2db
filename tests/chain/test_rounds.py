"""One round through the wrappers, and what a node that lies about it is told."""

from __future__ import annotations

import os
from typing import Any

import pytest

from chain.agreements import TierOpened
from chain.challenges import Ground, Leaf
from chain.client import Client
from chain.consents import GrantMessage, Reason, Withdrawal, consent_id
from chain.contracts import Contracts
from chain.errors import LogsDisagree, TxReverted
from chain.keys import address_of
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.node import Node
from chain.participants import Role
from chain.rounds import Freeze
from chain.typed_data import Domain, Grant, compact, sign
from chain.types import AgreementId, BlockNumber, RoundNumber, StudyId, Wei
from tests.chain.kit import Chain, Relay

pytestmark = pytest.mark.engine("anvil")


class Path:
    """A study with one hospital whose cohort of three is frozen and submitted."""

    def __init__(self, chain: Chain, *, submitted: bool = True) -> None:
        self.center = chain.party(Role.CENTER, tokens=100_000)
        self.hospital = chain.party(Role.HOSPITAL, tokens=1_000)
        self.study = chain.study(self.center)
        chain.enrol(self.center, self.study, self.hospital)
        self.agreement, self.not_after = self.open_tier(chain)
        self.keys = [os.urandom(32) for _ in range(3)]
        self.hospital.client.send(
            self.hospital.consents.grant_batch(self.agreement, [self.grant(k) for k in self.keys])
        )
        self.round = chain.open_round(self.center, self.study)
        chain.mine()
        ids = sorted(consent_id(address_of(key), self.agreement) for key in self.keys)
        self.leaves = [Leaf(i, consent, os.urandom(32)) for i, consent in enumerate(ids)]
        self.tree = MerkleTree([hash_cohort_leaf(leaf) for leaf in self.leaves])
        self.freeze = self.make_freeze()
        if not submitted:
            return
        self.hospital.client.send(self.hospital.rounds.freeze(self.freeze))
        call = self.hospital.rounds.submit(self.study, self.round, b"\6" * 32, b"\7" * 32)
        self.hospital.client.send(call)

    def open_tier(self, chain: Chain) -> tuple[AgreementId, int]:
        receipt = self.center.client.send(
            self.center.agreements.open_tier(
                self.study,
                self.hospital.client.address,
                terms=b"\x33" * 32,
                price=Wei(5),
                purposes=0b1,
                not_after=chain.terms().end_by,
                max_count=3,
            )
        )
        (opened,) = self.center.agreements.in_receipt(TierOpened, receipt)
        return opened.agreement, opened.not_after

    def grant(self, key: bytes) -> GrantMessage:
        consent = consent_id(address_of(key), self.agreement)
        deadline = self.not_after
        message = Grant(
            consent, self.study, self.agreement, Wei(5), 0b1, self.not_after, 0, deadline
        )
        domain = Domain(self.hospital.client.chain_id, self.hospital.consents.address)
        return GrantMessage(consent, 0, deadline, *compact(sign(key, message, domain)))

    def make_freeze(self, **changes: Any) -> Freeze:
        client = self.hospital.client
        block = BlockNumber(client.block_number() - 1)
        values: dict[str, Any] = {
            "study": self.study,
            "round": self.round,
            "hospital": 0,
            "snapshot": block,
            "snapshot_hash": client.block_hash(block),
            "root": self.tree.root,
            "n": 3,
            "weight": 3,
            "leaf_list": b"\x08" * 32,
            "round_keys": bytes(32),
        }
        return Freeze(**values | changes)


def test_a_round_is_read_as_it_was_written(chain: Chain) -> None:
    path = Path(chain)
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
    path = Path(chain)
    at = {"block_identifier": path.center.client.block_number()}
    ground = path.center.challenges.ground_of
    for leaf in path.leaves:
        proof = path.tree.proof(hash_cohort_leaf(leaf))
        assert ground(path.freeze, leaf, proof, **at) == Ground.NONE
    forged = Leaf(0, path.leaves[1].id, path.leaves[0].record)
    with pytest.raises(TxReverted, match="WrongProof"):
        ground(path.freeze, forged, path.tree.proof(hash_cohort_leaf(path.leaves[0])), **at)


def test_activity_of_many_ids_is_read_at_a_past_block_in_one_call(chain: Chain) -> None:
    path = Path(chain)
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
    path = Path(chain, submitted=False)
    wrong = path.make_freeze(snapshot_hash=b"\1" * 32)
    with pytest.raises(TxReverted, match=f"BadSnapshot.snapshot={wrong.snapshot}"):
        path.hospital.client.send(path.hospital.rounds.freeze(wrong))
    path.hospital.client.send(path.hospital.rounds.freeze(path.freeze))


def read_through(relay: Relay, path: Path) -> Contracts:
    return Contracts(Client(Node(relay.url)), path.center.deployment)


def test_logs_that_a_node_altered_are_refused(chain: Chain, relay: Relay) -> None:
    path = Path(chain)
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
    path = Path(chain)
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
    path = Path(chain)
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
