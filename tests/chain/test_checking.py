"""What a relayer refuses to pay for is what the contract would skip."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from chain.checking import Offered, check_grants
from chain.consent_events import GrantSkipped
from chain.consent_types import GrantMessage, Skip
from chain.keys import address_of
from chain.typed_data import Domain
from chain.types import ConsentId, Wei
from tests.chain.kit import Chain, RoundPath

pytestmark = pytest.mark.engine("anvil")


def variants(path: RoundPath) -> list[tuple[GrantMessage, Skip]]:
    """Messages of patients who have not granted yet, sound ones and those an attacker sends."""
    first, second, third = (path.grant(os.urandom(32)) for _ in range(3))
    return [
        (first, Skip.NONE),
        (first, Skip.ALREADY_USED),
        (replace(second, deadline=1), Skip.EXPIRED),
        (replace(second, deadline=second.deadline + 1), Skip.BAD_SIGNATURE),
        (replace(second, r=third.r), Skip.BAD_SIGNATURE),
        (replace(second, vs=b"\xff" * 32), Skip.BAD_SIGNATURE),
        (replace(second, r=bytes(32)), Skip.BAD_SIGNATURE),
        (replace(second, id=ConsentId(os.urandom(32))), Skip.BAD_SIGNATURE),
        (replace(second, nonce=1), Skip.BAD_SIGNATURE),
        (path.grant(path.keys[0]), Skip.ALREADY_USED),
        (second, Skip.NONE),
    ]


def test_a_message_is_judged_as_the_contract_judges_it(chain: Chain) -> None:
    path = RoundPath(chain, submitted=False, places=10)
    asked = variants(path)
    messages = [message for message, _ in asked]
    client, consents = path.hospital.client, path.hospital.consents
    offered = Offered(path.study, path.agreement, Wei(5), 0b1, path.not_after)
    domain = Domain(client.chain_id, consents.address)
    used = {path.grant(key).id for key in path.keys}
    found = check_grants(messages, offered, domain, now=client.timestamp(), used=used)
    assert found == [reason for _, reason in asked]
    receipt = client.send(consents.grant_batch(path.agreement, messages))
    skipped = [(x.id, x.reason) for x in consents.in_receipt(GrantSkipped, receipt)]
    assert skipped == [(m.id, reason) for m, reason in asked if reason is not Skip.NONE]


def test_a_signature_for_another_tier_or_chain_is_none(chain: Chain) -> None:
    path = RoundPath(chain, submitted=False)
    message = path.grant(os.urandom(32))
    offered = Offered(path.study, path.agreement, Wei(5), 0b1, path.not_after)
    domain = Domain(chain.operator.client.chain_id, chain.operator.consents.address)
    assert check_grants([message], offered, domain, now=0) == [Skip.NONE]
    elsewhere = Domain(domain.chain_id + 1, domain.contract)
    assert check_grants([message], offered, elsewhere, now=0) == [Skip.BAD_SIGNATURE]
    foreign = Domain(domain.chain_id, address_of(os.urandom(32)))
    assert check_grants([message], offered, foreign, now=0) == [Skip.BAD_SIGNATURE]
    for change in (
        replace(offered, price=Wei(4)),
        replace(offered, purposes=0b11),
        replace(offered, study=offered.study + 1),
        replace(offered, not_after=offered.not_after - 1),
    ):
        assert check_grants([message], change, domain, now=0) == [Skip.BAD_SIGNATURE]
