"""What `chain` needs of any engine: subclasses give a fixture `chain` on one.

`chain.anvil` is the engine, of which nothing is asked but its address and coins for gas.
"""

from __future__ import annotations

import os

import pytest

from chain import verify
from chain.agreements import CounterOfferCancelled
from chain.client import Client
from chain.consent_types import consent_id
from chain.contracts import Contracts
from chain.deploy import MINTABLE, WIRING
from chain.errors import BlockMissing, TxReverted, WrongChain
from chain.index import Index
from chain.indexer import Indexer
from chain.keccak import keccak
from chain.keys import address_of
from chain.merkle import hash_cohort_leaf
from chain.node import Node
from chain.participants import KeysSet, Role
from chain.token import Token
from chain.typed_data import CancelCounterOffer, Domain, sign
from chain.types import BlockNumber, Receipt, Wei
from chain.words import encode
from tests.chain.kit import Chain, RoundPath

MANY = 40


def tokens(party: Contracts) -> Token:
    return party.token(party.deployment.address_of(MINTABLE))


def balance(party: Contracts) -> int:
    block = party.client.block_number()
    return tokens(party).balance_of(party.client.address, block_identifier=block)


class Conformance:
    """The suite."""

    def test_the_code_at_every_address_is_the_committed_one(self, chain: Chain) -> None:
        addresses, node = chain.operator.deployment.addresses, chain.operator.client.node
        for name in WIRING:
            code = node.code(addresses[name], block=node.latest())
            verify.check_code(name, code, addresses, node.chain_id)

    def test_another_chain_id_is_refused(self, chain: Chain) -> None:
        with pytest.raises(WrongChain):
            Node(chain.anvil.url, chain_id=chain.operator.client.chain_id + 1)

    def test_a_call_takes_effect_once_and_leaves_its_events(self, chain: Chain) -> None:
        party = chain.party(Role.HOSPITAL)
        call = party.participants.set_keys(b"\4" * 32, b"\5" * 32)
        receipt = party.client.send(call, step="keys")
        assert party.client.send(call, step="keys") == receipt
        (event,) = party.participants.in_receipt(KeysSet, receipt)
        assert (event.account, event.block) == (party.client.address, receipt.block)
        assert party.client.node.nonce(party.client.address, block="latest") == 1

    def test_a_refusal_names_the_error_and_its_arguments(self, chain: Chain) -> None:
        party = chain.party()
        with pytest.raises(TxReverted) as caught:
            party.client.send(party.participants.set_keys(b"\4" * 32, b"\5" * 32))
        assert caught.value.name == "NotAParticipant"
        assert caught.value.arguments == {"account": party.client.address}

    def test_many_calls_take_effect_in_order_of_nonces(self, chain: Chain) -> None:
        party = chain.party()
        calls = [
            (tokens(party).mint(party.client.address, Wei(1 + n)), f"mint-{n}") for n in range(MANY)
        ]
        receipts = party.client.send_many(calls)
        assert all(isinstance(receipt, Receipt) for receipt in receipts)
        assert balance(party) == MANY * (MANY + 1) // 2
        nonces = [entry.nonce for entry in party.client.outbox.live()]
        assert nonces == list(range(nonces[0], nonces[0] + MANY))

    def test_a_past_block_is_read_as_it_was(self, chain: Chain) -> None:
        party = chain.party()
        minted = [
            party.client.send(tokens(party).mint(party.client.address, Wei(5))) for _ in range(2)
        ]
        for number, receipt in enumerate(minted, 1):
            found = tokens(party).balance_of(party.client.address, block_identifier=receipt.block)
            assert found == 5 * number
            assert party.client.block_hash(receipt.block) == receipt.block_hash
        with pytest.raises(BlockMissing):
            party.client.block_hash(BlockNumber(minted[-1].block + 1_000_000))

    def test_a_counter_offer_is_taken_back_once_and_for_every_later_block(
        self, chain: Chain
    ) -> None:
        party, key, offer = chain.party(), os.urandom(32), os.urandom(32)
        agreements, patient, deadline = party.agreements, address_of(key), 2**64 - 1
        domain = Domain(party.client.chain_id, agreements.address)
        signature = sign(key, CancelCounterOffer(offer, deadline), domain)
        call = agreements.cancel_counter_offer(patient, offer, deadline, signature)
        receipt = party.client.send(call)
        (event,) = agreements.in_receipt(CounterOfferCancelled, receipt)
        assert event.cancellation == keccak(encode(["address", "bytes32"], [patient, offer]))
        blocks = [BlockNumber(receipt.block - 1), receipt.block]
        found = [agreements.cancelled_at(patient, offer, block_identifier=b) for b in blocks]
        assert found == [0, receipt.block]
        with pytest.raises(TxReverted) as caught:
            party.client.send(call)
        assert (caught.value.name, caught.value.arguments) == ("AlreadyCancelled", {"offer": offer})

    def test_a_cohort_is_frozen_submitted_and_its_leaves_proven(self, chain: Chain) -> None:
        path = RoundPath(chain)
        block = chain.operator.client.block_number()
        found = chain.operator.rounds.round(path.study, path.round, block_identifier=block)
        assert (found.frozen, found.submitted) == (1, 1)
        leaf = hash_cohort_leaf(path.leaves[0])
        assert chain.operator.challenges.hash_leaf(path.leaves[0], block_identifier=block) == leaf

    def test_the_index_agrees_with_the_contracts(self, chain: Chain) -> None:
        path = RoundPath(chain, submitted=False)
        key = path.keys[0]
        chain.anvil.fund(address_of(key), 10**18)
        patient = Client(Node(chain.anvil.url), key, chain.home / "patient.sqlite")
        receipt = patient.send(path.hospital.consents.revoke(path.agreement, 0))
        index = Index(chain.home / "index.sqlite", chain.operator.deployment)
        Indexer(Node(chain.anvil.url), chain.operator.deployment, index).catch_up()
        ids = [
            *(leaf.id for leaf in path.leaves),
            consent_id(address_of(os.urandom(32)), path.agreement),
        ]
        head = chain.operator.client.block_number()
        answers = set()
        for block in (BlockNumber(receipt.block - 1), receipt.block):
            said = chain.operator.consents.active_at(ids, block, block_identifier=head)
            assert index.active_at(ids, block) == said
            answers.add(tuple(said))
        assert len(answers) == 2
        index.close()
