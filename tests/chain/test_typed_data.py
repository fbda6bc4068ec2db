"""What people sign is what the contracts hash, and what wallets show."""

from __future__ import annotations

import dataclasses
import os

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from chain import abi, agreements
from chain.consent_types import consent_id
from chain.errors import BadSignature
from chain.keys import address_of
from chain.participants import Role
from chain.typed_data import (
    Admission,
    CancelCounterOffer,
    Claim,
    ClaimBonus,
    CounterOffer,
    Domain,
    Grant,
    Message,
    Revoke,
    compact,
    expand,
    hash_ids,
    recover,
    sign,
)
from chain.types import AgreementId, ConsentId, StudyId, Wei
from tests.chain.kit import Chain, address

ID = ConsentId(b"\x11" * 32)
DOMAIN = Domain(31337, address(0xC0FFEE))
MESSAGES: list[Message] = [
    Grant(ID, StudyId(1), AgreementId(2), Wei(3), 0b101, 4, 5, 6),
    Revoke(ID, 2**64 - 1),
    Admission(AgreementId(2), hash_ids([ID, ID]), 9),
    CounterOffer(AgreementId(2), Wei(2**255), 0b11, 7, 8, b"\x22" * 32),
    Claim(ID, address(77), 9),
    ClaimBonus(ID, address(78), 10),
    CancelCounterOffer(b"\x33" * 32, 11),
]


@pytest.mark.engine("anvil")
def test_every_digest_is_the_one_that_solidity_computes(chain: Chain) -> None:
    operator = chain.operator
    block = operator.client.block_number()
    consents = Domain(operator.client.chain_id, operator.consents.address)
    escrow = Domain(operator.client.chain_id, operator.escrow.address)
    offers = Domain(operator.client.chain_id, operator.agreements.address)
    revoke, admission, claim, bonus, cancel = (MESSAGES[i] for i in (1, 2, 4, 5, 6))
    at = {"block_identifier": block}
    assert operator.consents.hash_revoke(ID, 2**64 - 1, **at) == revoke.digest(consents)
    ids = [ID, ID]
    assert operator.consents.hash_admission(AgreementId(2), ids, 9, **at) == admission.digest(
        consents
    )
    assert operator.escrow.hash_claim(ID, address(77), 9, **at) == claim.digest(escrow)
    assert operator.escrow.hash_claim_bonus(ID, address(78), 10, **at) == bonus.digest(escrow)
    hashed = operator.agreements.hash_cancel_counter_offer(b"\x33" * 32, 11, **at)
    assert hashed == cancel.digest(offers)


@pytest.mark.engine("anvil")
def test_grants_and_counter_offers_hash_alike_for_a_tier_that_exists(chain: Chain) -> None:
    center, hospital = chain.party(Role.CENTER, tokens=10_000), chain.party(Role.HOSPITAL)
    study = chain.study(center)
    center.client.send(center.studies.invite(study, hospital.client.address))
    receipt = center.client.send(
        center.agreements.open_tier(
            study,
            hospital.client.address,
            terms=b"\x33" * 32,
            price=Wei(5),
            purposes=0b1,
            not_after=chain.terms().end_by,
            max_count=3,
        )
    )
    (opened,) = center.agreements.in_receipt(agreements.TierOpened, receipt)
    at = {"block_identifier": receipt.block}
    consents = Domain(center.client.chain_id, center.consents.address)
    grant = Grant(ID, study, opened.agreement, Wei(5), 0b1, opened.not_after, 0, 99)
    assert center.consents.hash_grant(ID, opened.agreement, 0, 99, **at) == grant.digest(consents)
    offer = CounterOffer(opened.agreement, Wei(6), 0b1, 7, 8, b"\x22" * 32)
    mirrored = agreements.CounterOffer(**dataclasses.asdict(offer))
    assert center.agreements.hash_counter_offer(mirrored, **at) == offer.digest(
        Domain(center.client.chain_id, center.agreements.address)
    )
    assert center.consents.id_of(address(5), opened.agreement, 1, **at) == consent_id(
        address(5), opened.agreement, 1
    )


@pytest.mark.parametrize("message", MESSAGES, ids=[type(m).__name__ for m in MESSAGES])
def test_wallets_compute_the_same_digest(message: Message) -> None:
    types = {type(message).__name__: [{"name": n, "type": t} for t, n in message.types]}
    values = [getattr(message, field.name) for field in dataclasses.fields(message)]
    named = {n: v for (_, n), v in zip(message.types, values, strict=True)}
    domain = {
        "name": "Consilium",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": DOMAIN.contract,
    }
    signable = encode_typed_data(domain, types, named)
    shown = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert message.digest(DOMAIN) == shown


@pytest.mark.parametrize("message", MESSAGES, ids=[type(m).__name__ for m in MESSAGES])
def test_fields_are_those_of_the_type_in_its_order(message: Message) -> None:
    assert [field.name for field in dataclasses.fields(message)] == [
        abi.snake(name) for _, name in message.types
    ]


@settings(max_examples=30, deadline=None)
@given(secret=st.integers(1, 2**128), deadline=st.integers(0, 2**64 - 1))
def test_a_signature_is_compacted_expanded_and_recovered(secret: int, deadline: int) -> None:
    key, message = secret.to_bytes(32, "big"), Revoke(ID, deadline)
    signature = sign(key, message, DOMAIN)
    assert expand(*compact(signature)) == signature
    assert recover(signature, message, DOMAIN) == address_of(key)


def test_eth_account_makes_the_same_signature() -> None:
    key, message = os.urandom(32), MESSAGES[0]
    other = Account.unsafe_sign_hash(message.digest(DOMAIN), key)
    assert sign(key, message, DOMAIN) == bytes(other.signature)


def test_a_signature_for_another_message_contract_or_chain_recovers_another_key() -> None:
    key, message = os.urandom(32), Revoke(ID, 1)
    signature = sign(key, message, DOMAIN)
    others = [
        (Revoke(ID, 2), DOMAIN),
        (message, Domain(1, DOMAIN.contract)),
        (message, Domain(DOMAIN.chain_id, address(1))),
    ]
    for other, domain in others:
        assert recover(signature, other, domain) != address_of(key)


def test_the_mirrored_signature_is_refused() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signature = sign(os.urandom(32), MESSAGES[0], DOMAIN)
    s = order - int.from_bytes(signature[32:64], "big")
    mirrored = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    with pytest.raises(BadSignature, match="low s"):
        recover(mirrored, MESSAGES[0], DOMAIN)


@pytest.mark.parametrize("spoiled", [b"", b"\0" * 65, b"\xff" * 64 + b"\x1b"], ids=len)
def test_bytes_that_are_no_signature_are_refused(spoiled: bytes) -> None:
    with pytest.raises(BadSignature):
        recover(spoiled, MESSAGES[0], DOMAIN)
