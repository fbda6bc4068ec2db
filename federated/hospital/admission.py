"""Admission: the hospital says that a grant is of a patient of its own, once per study."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chain.agreements import Tier
from chain.consent_types import Reason, Withdrawal
from chain.typed_data import Admission, Grant, expand, hash_ids, recover
from chain.types import Address, AgreementId, ConsentId
from federated.errors import StepError
from federated.hospital.node import HospitalNode
from federated.mail import post
from federated.offers import domain_of
from federated.patient import SignedGrant
from records.consents import PatientConsent
from records.record import LocalKey

BATCH = 400
"""Grants in one transaction: EIP-7825 lets some 450 pass."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A grant, and the hospital's own key of the patient who handed it in."""

    patient: LocalKey
    grant: SignedGrant


def read_grants(path: Path) -> list[Presented]:
    """Grants from a file of JSON lines {"patient": …, "grant": {…}}. Raises `StepError`."""
    presented = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise StepError(f"{path}: grants cannot be read; check the path") from exc
    for number, line in enumerate(lines, start=1):
        try:
            tree = json.loads(line)
            grant = SignedGrant.from_json(tree["grant"])
            presented.append(Presented(LocalKey(str(tree["patient"])), grant))
        except (ValueError, KeyError, TypeError, RecursionError, StepError) as exc:
            raise StepError(f"{path}: line {number} is not a grant of a patient") from exc
    return presented


def admit(
    node: HospitalNode,
    grants: Iterable[Presented],
    *,
    relayer: Address,
    deadline: int,
) -> int:
    """Check grants, remember whose they are, sign the batches, leave them to the relayer.

    Returns how many were admitted. Raises `StepError` for a grant that is forged or for another
    hospital, and for a patient with two keys or agreements in one study, before any is admitted.
    """
    by_agreement: dict[AgreementId, list[Presented]] = defaultdict(list)
    for item in grants:
        by_agreement[item.grant.agreement].append(item)
    for agreement, items in by_agreement.items():
        _check(node, agreement, [item.grant for item in items])
    _check_persons(node, by_agreement)
    for agreement, items in by_agreement.items():
        _remember(node, agreement, items)
        for start in range(0, len(items), BATCH):
            part = [item.grant for item in items[start : start + BATCH]]
            _post(node, agreement, part, relayer=relayer, deadline=deadline)
    return sum(map(len, by_agreement.values()))


def withdraw(node: HospitalNode, patient: str, reason: Reason) -> int:
    """Withdraw all consents of a patient who did so on paper, lost the key or died.

    A grant that was admitted and is not on the chain yet is burned: a relayer who holds it back
    gains nothing. Returns how many. Sent by the hospital itself, so that no relayer can delay it.
    """
    chain, block = node.party.chain, node.party.head()
    found = []
    for row in node.consents.of_patient(patient):
        slot = chain.consents.consent(_id(row), block_identifier=block)
        if not slot.revoked:
            found.append(
                Withdrawal(Address(row.key), AgreementId(row.agreement), row.nonce, reason)
            )
    if found:
        chain.client.send(chain.consents.revoke_by_hospital(found))
    return len(found)


def _check(node: HospitalNode, agreement: AgreementId, grants: list[SignedGrant]) -> None:
    chain, block = node.party.chain, node.party.head()
    tier = chain.agreements.tier(agreement, block_identifier=block)
    if tier.hospital != node.party.address:
        raise StepError(
            f"consent {grants[0].message.id.hex()[:16]}… is for another hospital "
            f"({tier.hospital}): send the patient there"
        )
    for grant in grants:
        _check_signature(node, tier, grant)


def _check_persons(
    node: HospitalNode, by_agreement: Mapping[AgreementId, Sequence[Presented]]
) -> None:
    """One person is admitted once per study: under one agreement, with one key."""
    chain, block = node.party.chain, node.party.head()
    seen: dict[tuple[LocalKey, int], tuple[str, int]] = {}
    for agreement, items in by_agreement.items():
        study = chain.agreements.tier(agreement, block_identifier=block).study
        for item in items:
            mine = (item.grant.key, agreement)
            if seen.setdefault((item.patient, study), mine) != mine:
                raise StepError(
                    f"study {study}: one patient hands in grants under two keys or agreements: a "
                    "hospital admits one person once per study; keep one of them"
                )


def _check_signature(node: HospitalNode, tier: Tier, grant: SignedGrant) -> None:
    chain = node.party.chain
    message = Grant(
        id=grant.message.id,
        study=tier.study,
        agreement=grant.agreement,
        price=tier.price,
        purposes=tier.purposes,
        not_after=tier.not_after,
        nonce=grant.message.nonce,
        deadline=grant.message.deadline,
    )
    signature = expand(grant.message.r, grant.message.vs)
    if recover(signature, message, domain_of(chain, chain.consents.address)) != grant.key:
        raise StepError(
            f"consent {grant.message.id.hex()[:16]}… is not signed by its key for agreement "
            f"{grant.agreement} on this chain: ask the patient to sign again"
        )


def _remember(node: HospitalNode, agreement: AgreementId, items: list[Presented]) -> None:
    chain = node.party.chain
    study = chain.agreements.tier(agreement, block_identifier=node.party.head()).study
    node.consents.add(
        PatientConsent(
            item.patient,
            item.grant.message.id,
            study,
            agreement,
            item.grant.message.nonce,
            item.grant.key,
        )
        for item in items
    )


def _post(
    node: HospitalNode,
    agreement: AgreementId,
    grants: list[SignedGrant],
    *,
    relayer: Address,
    deadline: int,
) -> None:
    chain = node.party.chain
    ids = hash_ids([grant.message.id for grant in grants])
    domain = domain_of(chain, chain.consents.address)
    admission = chain.client.sign(Admission(agreement, ids, deadline), domain)
    messages = [[m.id, m.nonce, m.deadline, m.r, m.vs] for m in (grant.message for grant in grants)]
    body = {"agreement": agreement, "messages": messages, "deadline": deadline}
    post(node.party.store, relayer, "grants", body | {"admission": admission})


def _id(row: PatientConsent) -> ConsentId:
    return ConsentId(row.id)
