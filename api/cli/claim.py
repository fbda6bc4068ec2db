"""`consilium claim`: what patients and hospitals are owed."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.consent import patient_client, relayer_of
from api.cli.options import Relayer, StudyNumber
from api.cli.place import open_home, open_party, place, reading
from api.cli.show import say
from api.cli.values import address, decimals_of, moment, study_of, tokens
from api.errors import ApiError
from api.home import Home, HomeRole
from chain.consent_types import consent_id
from chain.errors import TxReverted
from chain.types import Address, AgreementId, ConsentId, StudyId
from federated.claims import Standing, bonus_message, claim_message, paying_cohorts
from federated.leaf_list import chain_leaf
from federated.mail import post
from federated.party import Party
from federated.patient import Patient
from federated.shares import shares_by_rule, shares_tree
from federated.study import Study


def claim(
    study: StudyNumber,
    recipient: Annotated[
        str | None, typer.Option(help="Who gets the patient's tokens: an address.")
    ] = None,
    hospital: Annotated[
        str | None, typer.Option("--for", help="A hospital whose share is claimed.")
    ] = None,
    bond: Annotated[bool, typer.Option("--bond", help="With --for: its bond instead.")] = False,
    bonus: Annotated[
        bool, typer.Option("--bonus", help="A patient's part of voided hospitals' bonds.")
    ] = False,
    relayer: Relayer = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="The patient's own key sends, with its coins.")
    ] = False,
    deadline: Annotated[str, typer.Option(help="Until when it may be sent.")] = "+30d",
) -> None:
    """Claim a patient's reward, signed and sent by a relayer; or with --for a hospital's share.

    A patient is paid once a study, for a place in the frozen cohort of a round that pays. Anyone
    with coins can claim for a hospital: the tokens go to the hospital.

    Example: consilium --home homes/alex claim 1 --recipient
    0x70997970C51812dc3A010C7d01b50e0d17dc79C8
    """
    if hospital is not None:
        _for_hospital(StudyId(study), hospital, bond)
        return
    if recipient is None:
        raise ApiError("--recipient is missing: say which address gets the tokens")
    home = open_home(HomeRole.PATIENT)
    with reading() as party:
        to = address(recipient, party)
        until = moment(deadline, party.chain.client.timestamp())
        wallet = home.patient(place().rpc)
        if bonus:
            _bonus(home, party, wallet, StudyId(study), to, until, relayer)
        elif direct:
            _direct(home, party, wallet, StudyId(study), to)
        else:
            _relayed(home, party, wallet, StudyId(study), to, until, relayer)


Due = tuple[AgreementId, int, Standing]


def _due(party: Party, wallet: Patient, study: StudyId) -> Due:
    """The consent that is paid, its nonce, where it stands. Raises `ApiError`."""
    block = party.head()
    study_of(party, study)
    mine: dict[ConsentId, tuple[AgreementId, int]] = {}
    for event in party.chain.agreements.opened(to_block=block, study=study):
        for nonce, consent in enumerate(wallet.ids(event.agreement)):
            mine[consent] = (event.agreement, nonce)
    if not mine:
        raise ApiError(f"this patient has no consent in study {study}; nothing is due")
    for agreement in {agreement for agreement, _ in mine.values()}:
        first = consent_id(wallet.address_for(agreement), agreement, 0)
        if party.chain.consents.consent(first, block_identifier=block).paid:
            raise ApiError(f"study {study}: the price of agreement {agreement} was paid already")
    for cohort in paying_cohorts(party.chain, party.store, study, block):
        for consent in mine.keys() & cohort.keys():
            return (*mine[consent], cohort[consent])
    raise ApiError(
        f"study {study}: no consent of this patient stands in a cohort that pays yet: wait until a "
        "round with these data is finalized"
    )


def _relayed(
    home: Home,
    party: Party,
    wallet: Patient,
    study: StudyId,
    to: Address,
    until: int,
    relayer: str | None,
) -> None:
    sender = relayer_of(home, relayer)
    agreement, nonce, standing = _due(party, wallet, study)
    body = claim_message(
        wallet, standing, agreement=agreement, nonce=nonce, recipient=to, deadline=until
    )
    post(party.store, sender, "claim", body)
    say(f"{_price(party, agreement)} tokens for {to}: the claim waits for {sender} to send it")


def _direct(home: Home, party: Party, wallet: Patient, study: StudyId, to: Address) -> None:
    agreement, nonce, standing = _due(party, wallet, study)
    leaf = chain_leaf(standing.leaf)
    call = party.chain.escrow.claim(standing.freeze, leaf, standing.proof, nonce, to)
    client = patient_client(home, party, agreement)
    client.send(call, step=f"claim-{study}")
    say(f"{_price(party, agreement)} tokens were paid to {to}")


def _bonus(
    home: Home,
    party: Party,
    wallet: Patient,
    study: StudyId,
    to: Address,
    until: int,
    relayer: str | None,
) -> None:
    block, sender = party.head(), relayer_of(home, relayer)
    for event in party.chain.agreements.opened(to_block=block, study=study):
        first = consent_id(wallet.address_for(event.agreement), event.agreement, 0)
        slot = party.chain.consents.consent(first, block_identifier=block)
        if slot.paid and not slot.bonus_paid:
            body = bonus_message(wallet, event.agreement, recipient=to, deadline=until)
            post(party.store, sender, "bonus", body)
            say(f"the claim of the bonus for {to} waits for {sender} to send it")
            return
    raise ApiError(f"study {study}: no bonus is due: only who was paid a price gets one, once")


def _for_hospital(study: StudyId, hospital: str, bond: bool) -> None:
    party = open_party()
    found = study_of(party, study)
    who = address(hospital, party)
    index = found.index_of(who)
    escrow, client, block = party.chain.escrow, party.chain.client, party.head()
    decimals = decimals_of(party, study)
    if bond:
        units = escrow.bond_of(study, who, block_identifier=block)
        client.send(escrow.return_bond(study, who))
        say(f"the bond of {tokens(units, decimals)} tokens returned to {hospital}")
        return
    if escrow.hospital_paid(study, index, block_identifier=block):
        raise ApiError(f"study {study}: {hospital} has its share already")
    try:
        client.send(escrow.claim_hospital(study, index))
    except TxReverted as exc:
        if exc.name != "WrongRule":
            raise
        _by_root(party, found, index)
    paid = [e for e in escrow.hospitals_paid(study, to_block=party.head()) if e.index == index]
    say(f"{tokens(paid[0].amount, decimals)} tokens were paid to {hospital}")


def _by_root(party: Party, study: Study, index: int) -> None:
    """The share under the root that the center posted and no auditors rejected."""
    from chain.merkle import hash_share_leaf

    block, number = party.head(), study.number
    weights, _ = party.chain.rounds.counted_weights(number, block_identifier=block)
    shares = shares_by_rule(party, study, dict(enumerate(weights)), block)
    tree = shares_tree(number, shares)
    posted = party.chain.escrow.reward_root(number, block_identifier=block).root
    if tree.root != posted:
        raise ApiError(f"study {number}: the posted root is not of these shares: tell the auditors")
    proof = tree.proof(hash_share_leaf(number, index, shares[index]))
    call = party.chain.escrow.claim_hospital_by_root(number, index, shares[index], proof)
    party.chain.client.send(call)


def _price(party: Party, agreement: AgreementId) -> str:
    tier = party.chain.agreements.tier(agreement, block_identifier=party.head())
    return tokens(tier.price, decimals_of(party, tier.study))
