"""Who is asked, negotiates, grants, refuses and withdraws in the demo."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.demo.patients import DemoPatient, Will
from api.demo.world import Say, World
from chain.client import Client
from chain.consent_types import Reason
from chain.contracts import Contracts
from chain.node import Node
from chain.typed_data import CounterOffer
from chain.types import AgreementId, StudyId, Wei
from federated.center import accept, open_tier
from federated.center.tiers import TierWish
from federated.hospital.admission import Presented, admit, withdraw
from federated.mail import post
from federated.purposes import tier_bitmap
from federated.relayer import relay
from federated.study import read_study

TOKEN = 10**18
STUDY_PURPOSES = ("DUO:0000006",)
OTHER_PURPOSES = ("DUO:0000011",)
DAY = 86_400
GRANT_FOR_S = 3600


@dataclass(slots=True)
class Consenting:
    """What came of asking. `agreements` tells which tier each patient granted under."""

    asked: int = 0
    refused: int = 0
    revoked: int = 0
    agreements: dict[str, AgreementId] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def granted(self) -> int:
        """Patients who granted, under whatever tier."""
        return len(self.agreements)


def open_tiers(world: World, study: StudyId, say: Say) -> dict[tuple[str, Will], AgreementId]:
    """Per hospital a standing tier, a short-lived one, and one for another purpose."""
    now, block = world.clock.now(), world.center.head()
    most = read_study(world.center.chain, world.center.store, study, block).spec.terms.max_patients
    tiers = {}
    for place, (name, node) in enumerate(world.hospitals.items()):
        say("center", f"opens price tiers for patients of {name}")
        price = Wei((1 + place) * TOKEN // 4)
        for will, purposes, lasts in (
            (Will.STANDING, STUDY_PURPOSES, 365 * DAY),
            (Will.SHORT, STUDY_PURPOSES, 600),
            (Will.OTHER_PURPOSE, OTHER_PURPOSES, 365 * DAY),
        ):
            wish = TierWish(
                node.party.address, price, purposes, now + lasts, most, f"{will} terms of {name}"
            )
            tiers[name, will] = open_tier(world.center, study, wish, step=f"{name}-{will}")
    return tiers


def negotiate(
    world: World,
    patients: Sequence[DemoPatient],
    tiers: dict[tuple[str, Will], AgreementId],
    say: Say,
) -> None:
    """One patient of each hospital asks for half as much again; the center opens that tier.

    It is open to others too: a price that only one patient has would identify that patient.
    """
    chain, now = world.center.chain, world.clock.now()
    for name in world.hospitals:
        say(f"patient of {name}", "makes a counter-offer, and the center opens a tier at it")
        asking = next(p for p in patients if p.hospital == name and p.will is Will.NEGOTIATES)
        standing = tiers[name, Will.STANDING]
        tier = chain.agreements.tier(standing, block_identifier=world.center.head())
        offer = CounterOffer(
            agreement=standing,
            price=Wei(tier.price * 3 // 2),
            purposes=tier_bitmap(STUDY_PURPOSES),
            not_after=tier.not_after,
            expiry=now + GRANT_FOR_S,
            salt=secrets.token_bytes(32),
        )
        signed = asking.wallet.counter(offer)
        text = f"negotiated terms of {name}"
        tiers[name, Will.NEGOTIATES] = accept(world.center, signed, max_count=20, text=text)


def ask_all(
    world: World,
    patients: Sequence[DemoPatient],
    tiers: dict[tuple[str, Will], AgreementId],
    say: Say,
) -> Consenting:
    """Everybody is asked; who consents signs, the hospital admits, the relayer sends."""
    done = Consenting(asked=len(patients))
    deadline, block = world.clock.now() + GRANT_FOR_S, world.center.head()
    shown = {
        agreement: world.center.chain.agreements.tier(agreement, block_identifier=block)
        for agreement in tiers.values()
    }
    for name, node in world.hospitals.items():
        say(name, "asks its patients and admits those who sign")
        presented = []
        for patient in (p for p in patients if p.hospital == name):
            if patient.will is Will.REFUSES:
                done.refused += 1
                continue
            agreement = tiers[name, patient.will]
            grant = patient.wallet.grant(agreement, deadline=deadline, shown=shown[agreement])
            presented.append(Presented(patient.local_key, grant))
            done.agreements[patient.local_key] = agreement
        admit(node, presented, relayer=world.relayer.address, deadline=deadline)
    say("relayer", "sends the grants in batches and pays the gas")
    done.skipped += relay(world.relayer).refused
    return done


def withdraw_one(world: World, patient: DemoPatient, done: Consenting, way: str, say: Say) -> None:
    """A patient withdraws: "signature" through the relayer, "direct", or on "paper"."""
    say(f"patient of {patient.hospital}", f"withdraws ({way})")
    agreement = done.agreements[patient.local_key]
    wallet, now = patient.wallet, world.clock.now()
    if way == "signature":
        message = wallet.revoke(agreement, deadline=now + GRANT_FOR_S)
        fields = [message.key, agreement, message.nonce, message.deadline, message.r, message.vs]
        post(world.relayer.store, world.relayer.address, "revocations", {"messages": [fields]})
        done.skipped += relay(world.relayer).refused
    elif way == "direct":
        _revoke_directly(world, patient, agreement)
    else:
        withdraw(world.hospitals[patient.hospital], patient.local_key, Reason.PAPER)
    done.revoked += 1


def _revoke_directly(world: World, patient: DemoPatient, agreement: AgreementId) -> None:
    """With the one-time key itself, which then needs coins for gas."""
    key = patient.wallet.key_for(agreement)
    world.anvil.fund(patient.wallet.address_for(agreement), 10**18)
    client = Client(Node(world.anvil.url), key, world.folder / "patients" / "outbox.sqlite")
    chain = Contracts(client, world.deployment)
    client.send(chain.consents.revoke(agreement, patient.wallet.standing_nonce(agreement)))
