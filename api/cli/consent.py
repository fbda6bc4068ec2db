"""`consilium consent`: what a patient decides, and where the data were used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import Agreement, AsJson, LastStudy, Relayer
from api.cli.place import demo, in_demo, open_home, place, reading
from api.cli.show import group, json_object, say, table, warn, write_file
from api.cli.values import address, moment, names_of, study_of, when
from api.errors import ApiError
from api.home import Home, HomeRole
from chain.client import Client
from chain.consent_types import Reason
from chain.types import Address, AgreementId, ConsentId, StudyId
from federated.mail import post
from federated.party import Party
from federated.patient import Patient
from federated.study import Study
from federated.usage import Usage, usage_of

app = group(
    """Grant, revoke, list, and see where your data were used.

    Example: consilium --home homes/alex consent list
    """
)

Deadline = Annotated[str, typer.Option(help="Until when the message may be sent.")]


@app.command()
def grant(
    agreement: Agreement,
    out: Annotated[Path, typer.Option(help="The file to hand to the hospital.")],
    deadline: Deadline = "+30d",
) -> None:
    """Consent under a tier, signed with a key made for it alone; the patient's.

    It takes effect when the hospital admits it.

    Example: consilium --home homes/alex consent grant 1 --out grant.json
    """
    patient = open_home(HomeRole.PATIENT).patient(place().rpc)
    with reading() as party:
        until = moment(deadline, party.chain.client.timestamp())
        signed = patient.grant(AgreementId(agreement), deadline=until)
        tier = party.chain.agreements.tier(AgreementId(agreement), block_identifier=party.head())
        hospital = names_of(party, [tier.hospital])[0]
    write_file(out, json.dumps(signed.to_json()) + "\n")
    say(f"hand {out} to {hospital}; consent {signed.message.id.hex()} ends {when(tier.not_after)}")


@app.command()
def revoke(
    agreement: Agreement,
    relayer: Relayer = None,
    direct: Annotated[bool, typer.Option("--direct", help="Send it with own coins.")] = False,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Withdraw a grant that is not on the chain yet.")
    ] = False,
    deadline: Deadline = "+30d",
) -> None:
    """Withdraw the consent that stands under a tier; free, and nobody can stop it.

    A relayer sends it, or with --direct the consent's own key, which then needs coins. With
    --unseen a grant that somebody holds back is burned before it can take effect.

    Example: consilium --home homes/alex consent revoke 1
    """
    home = open_home(HomeRole.PATIENT)
    patient = home.patient(place().rpc)
    with reading() as party:
        if direct:
            _revoke_direct(home, party, patient, AgreementId(agreement), unseen)
            return
        to = relayer_of(home, relayer)
        until = moment(deadline, party.chain.client.timestamp())
        m = patient.revoke(AgreementId(agreement), deadline=until, unseen=unseen)
        message = [m.key, m.agreement, m.nonce, m.deadline, m.r, m.vs]
        post(party.store, to, "revocations", {"messages": [message]})
    say(f"the withdrawal waits for {to} to send it; `consilium consent list` shows when it did")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every consent of this patient and how it stands.

    Example: consilium --home homes/alex consent list
    """
    patient = open_home(HomeRole.PATIENT).patient(place().rpc)
    with reading() as party:
        rows = _consents(party, patient)
    if as_json:
        json_object(rows)
    else:
        columns = ("study", "agreement", "consent", "state", "paid")
        table("consents", columns, [[row[name] for name in columns] for row in rows])


@app.command()
def usage(
    study: LastStudy = None,
    patient: Annotated[
        str | None, typer.Option(help="In a demo: HOSPITAL/KEY of a patient; else the first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show in which rounds and models this patient's data were used, verified on-chain.

    Example: consilium --home homes/alex consent usage 1
    """
    with _wallet(patient) as (who, wallet, party):
        found = study_of(party, study)
        ids = _ids(party, wallet, found.number)
        seen = usage_of(party.chain, party.store, found.number, list(ids), party.head())
        if as_json:
            json_object({"patient": who, "uses": [use.to_json() for use in seen.uses]})
        else:
            _print_usage(party, found, who, seen)
        for item in seen.unknown:
            warn(
                f"round {item.round_number}: nobody has a list of {item.hospital}'s cohort that "
                "gives its root: whether your data were in it cannot be said; ask the hospital"
            )


def relayer_of(home: Home, given: str | None) -> Address:
    """Who sends for a home. Raises `ApiError` where nobody is named."""
    text = given or home.config.relayer
    if not text:
        raise ApiError("no relayer is named: give --relayer, or set CONSILIUM_RELAYER")
    return address(text)


def patient_client(home: Home, party: Party, agreement: AgreementId) -> Client:
    """A client that sends with the one-time key of an agreement."""
    key = home.patient(place().rpc).key_for(agreement)
    return Client(party.chain.client.node, key, home.path / "outbox.sqlite")


def _revoke_direct(
    home: Home, party: Party, patient: Patient, agreement: AgreementId, unseen: bool
) -> None:
    nonce = patient.unseen_nonce(agreement) if unseen else patient.standing_nonce(agreement)
    client = patient_client(home, party, agreement)
    call = party.chain.consents.revoke(agreement, nonce)
    receipt = client.send(call, step=f"revoke-{agreement}-{nonce}")
    say(f"withdrawn from block {receipt.block}: no round frozen later uses your data")


def _consents(party: Party, patient: Patient) -> list[dict[str, object]]:
    block = party.head()
    rows: list[dict[str, object]] = []
    for number in range(1, party.chain.agreements.count(block_identifier=block) + 1):
        agreement = AgreementId(number)
        for consent in patient.ids(agreement):
            slot = party.chain.consents.consent(consent, block_identifier=block)
            tier = party.chain.agreements.tier(agreement, block_identifier=block)
            state = "active" if slot.granted else "burned"
            if slot.revoked:
                state = f"revoked ({Reason(slot.reason).name.lower()})"
            elif tier.not_after < party.chain.client.timestamp():
                state = "expired"
            rows.append(
                {
                    "study": tier.study,
                    "agreement": number,
                    "consent": consent.hex(),
                    "state": state,
                    "paid": "yes" if slot.paid else "no",
                }
            )
    return rows


def _ids(party: Party, wallet: Patient, study: StudyId) -> Mapping[ConsentId, AgreementId]:
    tiers = party.chain.agreements.opened(to_block=party.head(), study=study)
    return {consent: event.agreement for event in tiers for consent in wallet.ids(event.agreement)}


@contextmanager
def _wallet(patient: str | None) -> Iterator[tuple[str, Patient, Party]]:
    """Whose usage is asked for: the home's patient, or one of the last demo."""
    if not in_demo():
        home = open_home(HomeRole.PATIENT)
        with reading() as party:
            yield home.config.name, home.patient(place().rpc), party
        return
    from api.demo.patients import read_wallet

    with demo() as found, reading(demo_of=found) as party:
        folder = found[1] / "patients"
        path = folder / f"{patient}.json" if patient else min(folder.glob("*/*.json"))
        if not path.is_file():
            raise ApiError(f"the demo has no patient {patient}; see {folder}")
        name = f"{path.parent.name}/{path.stem}"
        yield name, read_wallet(path, party.chain), party


def _print_usage(party: Party, study: Study, who: str, found: Usage) -> None:
    names = dict(zip(study.hospitals, names_of(party, study.hospitals), strict=True))
    rows = [
        (
            use.round_number,
            names[use.hospital],
            use.index,
            "voided" if use.voided else "yes" if use.trained else "no",
            use.model.hex()[:16] if use.model else "-",
        )
        for use in found.uses
    ]
    if not rows:
        say(f"the data of {who} are in no cohort of study {study.number}")
        return
    table(
        f"{who} in study {study.number}",
        ("round", "hospital", "leaf", "update submitted", "in the model"),
        rows,
    )
