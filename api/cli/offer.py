"""`consilium offer`: the price, agreed by both."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.consent import patient_client, relayer_of
from api.cli.options import (
    Agreement,
    AsJson,
    DeploymentPath,
    LastStudy,
    Node,
    Relayer,
    StorePath,
    StudyNumber,
    Who,
)
from api.cli.place import Outside, open_home, open_party, place, reading
from api.cli.show import group, json_object, say, table, warn, write_file
from api.cli.values import (
    address,
    amount,
    decimals_of,
    moment,
    names_of,
    study_of,
    tokens,
    when,
)
from api.home import HomeRole
from chain.typed_data import CounterOffer
from chain.types import AgreementId, BlockNumber, StudyId
from federated.center import accept as accept_offer
from federated.center import open_tier
from federated.center.tiers import TierWish
from federated.counter_offers import offers_for
from federated.errors import StepError
from federated.mail import post
from federated.offers import SignedOffer, cancelled_at, check_offer
from federated.party import Party
from federated.purposes import code, describe, tier_bitmap
from federated.study import Study

app = group(
    """Open price tiers, answer them, list them.

    Example: consilium offer list 1
    """
)

Price = Annotated[str, typer.Option(help="Tokens for one patient, as in 12.5.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help="A DUO code as in HMB or NCU; repeatable.")
]
NotAfter = Annotated[str, typer.Option(help="The consents' end: +90d, 2027-01-31, or seconds.")]
MaxCount = Annotated[int, typer.Option(min=1, help="At most so many patients.")]
Text = Annotated[str, typer.Option(help="The terms in words.")]

_TERMS = "The data stay in the hospital; the model learned from them is used for the study."


@app.command()
def make(
    study: StudyNumber,
    hospital: Who,
    price: Price,
    not_after: NotAfter,
    max_count: MaxCount,
    purpose: Purposes = None,
    terms: Text = _TERMS,
) -> None:
    """Open a tier for the patients of one hospital; the center's.

    Example: consilium --home homes/center offer make 1 north --price 10 --purpose HMB --not-after
    +90d --max-count 200
    """
    party = open_party(HomeRole.CENTER)
    wish = TierWish(
        hospital=address(hospital, party),
        price=amount(price, decimals_of(party, StudyId(study))),
        purposes=tuple(sorted(code(item) for item in purpose or ("HMB",))),
        not_after=moment(not_after, party.chain.client.timestamp()),
        max_count=max_count,
        text=terms,
    )
    _warn_alone(max_count)
    step = hashlib.sha256(repr(wish).encode()).hexdigest()[:16]
    agreement = open_tier(party, StudyId(study), wish, step=step)
    say(f"agreement {agreement}: {price} tokens for each of {max_count} patients of {hospital}")


@app.command()
def counter(
    agreement: Agreement,
    price: Price,
    out: Annotated[Path, typer.Option(help="The file to hand to the center.")],
    purpose: Purposes = None,
    not_after: Annotated[str | None, typer.Option(help="Another end of the consent.")] = None,
    expires: Annotated[str, typer.Option(help="Until when the center may accept.")] = "+7d",
) -> None:
    """Answer a tier with other terms, signed; the patient's.

    Example: consilium --home homes/alex offer counter 1 --price 15 --out counter.json
    """
    home = open_home(HomeRole.PATIENT)
    patient = home.patient(place().rpc)
    with reading() as party:
        chain, now = party.chain, party.chain.client.timestamp()
        tier = chain.agreements.tier(AgreementId(agreement), block_identifier=party.head())
        signed = patient.counter(
            CounterOffer(
                agreement=AgreementId(agreement),
                price=amount(price, decimals_of(party, tier.study)),
                purposes=tier_bitmap(purpose) if purpose else tier.purposes,
                not_after=moment(not_after, now) if not_after else tier.not_after,
                expiry=moment(expires, now),
                salt=os.urandom(32),
            )
        )
    write_file(out, signed.to_json() + "\n")
    say(
        f"hand {out} to the center, and keep it: `consilium offer cancel` takes it back; a price "
        "that you alone get identifies you"
    )


@app.command()
def cancel(
    file: Annotated[Path, typer.Argument(help="The counter-offer, as `offer counter` wrote it.")],
    relayer: Relayer = None,
    direct: Annotated[bool, typer.Option("--direct", help="Send it with own coins.")] = False,
) -> None:
    """Take a counter-offer back before it expires; the patient's.

    A relayer sends it, or with --direct the key that signed the offer, which then needs coins. The
    chain tells that it was taken back, and not what it asked for. The same command again says when.

    Example: consilium --home homes/alex offer cancel counter.json
    """
    home = open_home(HomeRole.PATIENT)
    patient = home.patient(place().rpc)
    offer = _read(file)
    with reading() as party:
        signed, head = patient.cancel(offer), party.head()
        if block := cancelled_at(party.chain, offer, head):
            say(f"it was cancelled in block {block}: no center takes it up any more")
            return
        check_offer(party.chain, offer, now=party.chain.client.timestamp(), block=head)
        if direct:
            client = patient_client(home, party, offer.terms.agreement)
            receipt = client.send(signed.call(party.chain), step=f"cancel-{signed.offer.hex()}")
            say(f"cancelled in block {receipt.block}: no center takes it up any more")
            return
        to = relayer_of(home, relayer)
        post(party.store, to, "cancellation", signed.body())
    say(f"the cancellation waits for {to} to send it; this command again says when it did")


@app.command()
def inbox(
    out: Annotated[Path, typer.Option(help="The folder to write the counter-offers to.")],
) -> None:
    """Write the counter-offers that patients left for this center; the center's.

    One that is forged, expired or cancelled is passed over.

    Example: consilium --home homes/center offer inbox --out counters
    """
    party = open_party(HomeRole.CENTER)
    now, block = party.chain.client.timestamp(), party.head()
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for offer in offers_for(party):
        try:
            check_offer(party.chain, offer, now=now, block=block)
        except StepError as exc:
            warn(str(exc))
            continue
        name = hashlib.sha256(offer.signature).hexdigest()[:16]
        write_file(out / f"counter-{name}.json", offer.to_json() + "\n")
        count += 1
    say(f"{count} counter-offers in {out}; accept one with `consilium offer accept`")


@app.command()
def accept(
    file: Annotated[Path, typer.Argument(help="The patient's counter-offer.")],
    max_count: MaxCount,
    terms: Text = _TERMS,
) -> None:
    """Open a tier at the price that a counter-offer asks for; the center's.

    Example: consilium --home homes/center offer accept counter.json --max-count 20
    """
    party = open_party(HomeRole.CENTER)
    offer = _read(file)
    _warn_alone(max_count)
    agreement = accept_offer(party, offer, max_count=max_count, text=terms)
    tier = party.chain.agreements.tier(agreement, block_identifier=party.head())
    decimals = decimals_of(party, tier.study)
    say(f"agreement {agreement}: {tokens(tier.price, decimals)} tokens for {max_count} patients")


@app.command("list")
def list_(
    study: LastStudy = None,
    as_json: AsJson = False,
    rpc: Node = None,
    store: StorePath = None,
    deployment: DeploymentPath = None,
) -> None:
    """List the tiers of a study.

    Example: consilium --home homes/alex offer list 1
    """
    with reading(Outside(rpc, store, deployment)) as party:
        found = study_of(party, study)
        rows = _tiers(party, found, party.head())
        if as_json:
            json_object(rows)
            return
        decimals = decimals_of(party, found.number)
        columns = ("agreement", "hospital", "price", "purposes", "until", "people", "open")
        table(f"study {found.number}", columns, [_row(row, decimals) for row in rows])


@app.command()
def close(agreement: Agreement) -> None:
    """Take no more grants under a tier; consents that stand stay. The center's.

    Example: consilium --home homes/center offer close 2
    """
    party = open_party(HomeRole.CENTER)
    call = party.chain.agreements.close_tier(AgreementId(agreement))
    party.chain.client.send(call, step=f"close-{agreement}")
    say(f"agreement {agreement} takes no more grants")


def _read(file: Path) -> SignedOffer:
    return SignedOffer.from_json(file.read_text("utf-8"))


def _tiers(party: Party, study: Study, block: BlockNumber) -> list[dict[str, Any]]:
    found = []
    for event in party.chain.agreements.opened(to_block=block, study=study.number):
        tier = party.chain.agreements.tier(event.agreement, block_identifier=block)
        found.append(
            {
                "agreement": event.agreement,
                "hospital": names_of(party, [tier.hospital])[0],
                "price": tier.price,
                "purposes": describe(tier.purposes),
                "not_after": tier.not_after,
                "admitted": tier.admitted,
                "max_count": tier.max_count,
                "open": not tier.closed,
            }
        )
    return found


def _row(row: dict[str, Any], decimals: int) -> list[object]:
    return [
        row["agreement"],
        row["hospital"],
        tokens(row["price"], decimals),
        "; ".join(row["purposes"]),
        when(row["not_after"]),
        f"{row['admitted']} of {row['max_count']}",
        "yes" if row["open"] else "closed",
    ]


def _warn_alone(max_count: int) -> None:
    if max_count == 1:
        warn("a price that only one patient has identifies that patient: raise --max-count")
