"""`consilium study`: a center requests a model; anyone reads a study."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.finding import find, index
from api.cli.options import AsJson, DeploymentPath, LastStudy, Node, StorePath, StudyNumber
from api.cli.place import Outside, open_party, reading
from api.cli.searching import print_search
from api.cli.show import group, json_object, pairs, say, table, warn, write_file
from api.cli.values import address, decimals_of, names_of, spec_of, study_of, tokens, when
from api.home import HomeRole
from chain.round_types import Round
from chain.types import RoundNumber, StudyId
from federated.center import invite as invite_hospital
from federated.center import request_study
from federated.chosen import search_table
from federated.contribution import cost_of
from federated.party import Party
from federated.period_rules import production_warnings
from federated.purposes import describe
from federated.search_cost import search_cost
from federated.studies import wisconsin_spec
from federated.study import Study

app = group(
    """Request a model, show a study, invite hospitals.

    Example: consilium study show 1
    """
)


app.command()(index)
app.command()(find)


class Template(StrEnum):
    """Studies that ship with the project."""

    WISCONSIN = "wisconsin"


@app.command()
def template(
    name: Annotated[Template, typer.Argument(help="The study to start from.")],
    auditor: Annotated[
        list[str] | None, typer.Option(help="An auditor's address or participant.json; repeatable.")
    ] = None,
    family: Annotated[str, typer.Option(help="logistic or mlp.")] = "logistic",
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds.")] = 5,
    hospitals: Annotated[int, typer.Option(min=1, help="At most so many hospitals.")] = 4,
    least: Annotated[int, typer.Option(min=1, help="At least so many in a round.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Drives weights, splits and shuffles.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write here; else to the screen.")] = None,
) -> None:
    """Write the spec of a study that ships with the project, to be edited.

    Example: consilium study template wisconsin --auditor homes/auditor/participant.json --out
    spec.json
    """
    text = wisconsin_spec(
        auditors=[address(item).lower() for item in auditor or ()],  # type: ignore[misc]
        seed=seed,
        hospitals=hospitals,
        rounds=rounds,
        min_hospitals=least,
        family=family,
    ).to_json()
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_file(out, text)
        say(f"{out} is a valid spec of study {name}; edit it, then `consilium study request`")


@app.command()
def request(
    spec: Annotated[Path, typer.Option(help="The study's spec, .json or .toml.")],
    token: Annotated[
        str | None, typer.Option(help="The ERC-20 token that it pays in; else the development one.")
    ] = None,
) -> None:
    """Open a study by its spec and move its budget into escrow; the center's.

    Example: consilium --home homes/center study request --spec spec.json --token
    0x5FbDB2315678afecb367f032d93F642f64180aa3
    """
    read = spec_of(spec)
    for sentence in production_warnings(read):
        warn(sentence)
    party = open_party(HomeRole.CENTER)
    paid_in = address(token or party.chain.deployment.address_of("DevelopmentToken"))
    number = request_study(party, read, paid_in)
    say(f"study {number} is open: {read.title}, spec {read.digest().hex()}")
    if (cost := cost_of(read)) is not None:
        say(f"contributions: {cost}")
    if (searching := search_cost(read)) is not None:
        say(f"search: {searching}")


@app.command()
def invite(study: StudyNumber, hospital: Annotated[list[str], typer.Argument()]) -> None:
    """Let hospitals enrol; the center's.

    Example: consilium --home homes/center study invite 1 north harbor
    """
    party = open_party(HomeRole.CENTER)
    for text in hospital:
        who = address(text, party)
        invite_hospital(party, StudyId(study), who)
        say(f"{text} may take part in study {study}")


@app.command()
def show(
    study: LastStudy = None,
    as_json: AsJson = False,
    rpc: Node = None,
    store: StorePath = None,
    deployment: DeploymentPath = None,
) -> None:
    """Show a study: question, terms, money, hospitals, rounds.

    Needs a home, the folder of a demo, or --rpc, --store and --deployment.

    Example: consilium study show 1 --json
    """
    with reading(Outside(rpc, store, deployment)) as party:
        found = study_of(party, study)
        rounds = _rounds(party, found)
        if as_json:
            json_object(_tree(party, found, rounds))
        else:
            _print(party, found, rounds)


def _print(party: Party, study: Study, rounds: list[dict[str, Any]]) -> None:
    spec, terms, money = study.spec, study.terms, _money(party, study)
    decimals = decimals_of(party, study.number)
    pairs(
        [
            ("study", f"{study.number}: {spec.title}"),
            ("question", spec.question),
            ("center", names_of(party, [study.center])[0]),
            ("purposes", ", ".join(describe(terms.purposes))),
            ("task", spec.task),
            ("model", f"{spec.model.listed_as}, {spec.strategy.name}, {spec.mode} mode"),
            ("rounds", f"{len(rounds)} of {terms.max_rounds}, at least {terms.min_hospitals} each"),
            ("ends", when(terms.end_by)),
            ("challenges until", when(terms.challenge_end)),
            ("claims until", when(terms.claim_end)),
            ("spec", study.spec_digest.hex()),
        ]
        + [(name, f"{tokens(value, decimals)} tokens") for name, value in money.items()]
    )
    names = names_of(party, study.hospitals)
    rows = [(i, name, study.hospitals[i]) for i, name in enumerate(names)]
    table("hospitals", ("index", "name", "address"), rows)
    counts = ("frozen", "submitted", "included", "restored", "voided")
    columns = ("round", "phase", *counts, "patients")
    table("rounds", columns, [[row[column] for column in columns] for row in rounds])
    print_search(party, study)


def _tree(party: Party, study: Study, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "study": study.number,
        "title": study.spec.title,
        "spec": study.spec_digest.hex(),
        "center": study.center,
        "task": study.spec.task,
        "model": study.spec.model.listed_as,
        "strategy": study.spec.strategy.name,
        "mode": study.spec.mode,
        "auditors": list(study.auditors),
        "hospitals": list(study.hospitals),
        "money": _money(party, study),
        "rounds": rounds,
        "search": [asdict(row) for row in search_table(party, study, party.head())],
    }


def _money(party: Party, study: Study) -> dict[str, int]:
    account = party.chain.escrow.account(study.number, block_identifier=party.head())
    return {
        "funded": account.funded,
        "set aside": account.set_aside,
        "reserved": account.reserved,
        "paid to patients": account.paid_patients,
        "paid to hospitals": account.paid_hospitals,
        "refunded": account.refunded,
    }


def _rounds(party: Party, study: Study) -> list[dict[str, Any]]:
    block, rounds = party.head(), party.chain.rounds
    now = party.chain.client.timestamp()
    found = []
    for number in range(1, rounds.count(study.number, block_identifier=block) + 1):
        place = RoundNumber(number)
        round_ = rounds.round(study.number, place, block_identifier=block)
        freezes = rounds.freezes(study.number, place, to_block=block)
        counts = {
            name: getattr(round_, name).bit_count()
            for name in ("frozen", "submitted", "included", "voided")
        }
        restored = rounds.restored(study.number, place, block_identifier=block)
        counts["restored"] = restored.bit_count()
        people = sum(event.freeze.n for event in freezes)
        found.append(
            {"round": number, "phase": phase_of(round_, now), **counts, "patients": people}
            | {"state": round_.state.hex()}
        )
    return found


def phase_of(round_: Round, now: int) -> str:
    """What a round waits for, in one word or two."""
    words = (("finalized", round_.finalized), ("aborted", round_.aborted))
    for word, holds in words:
        if holds:
            return f"{word}, contaminated" if round_.contaminated else word
    if round_.frozen != round_.enrolled and now <= round_.freeze_by:
        return "freeze"
    if round_.submitted != round_.frozen and now <= round_.submit_by:
        return "submit"
    return "finalize" if now <= round_.finalize_by else "lapsed"
