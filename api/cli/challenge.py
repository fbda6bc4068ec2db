"""`consilium challenge`: prove an update false, demand a leaf, answer; vote as an auditor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import RoundNo, StudyNumber
from api.cli.place import open_party, reading
from api.cli.show import group, say, warn, write_file
from api.cli.values import hospital_index, round_of, study_of
from api.cli.voting import reject_root, restore
from api.errors import ApiError
from api.home import HomeRole
from chain.challenges import Ground
from chain.round_events import Frozen
from chain.round_types import Freeze
from chain.types import Call, StudyId
from federated.auditor.words import Signed, rule_on_list, rule_on_update
from federated.challenging import Proven, freeze_of, proven_leaf, submission_of
from federated.party import Party

app = group(
    """Void an update that is false; demand leaves and answer; vote as an auditor.

    Example: consilium --home homes/auditor challenge leaf 1 2 north 17
    """
)

app.command()(restore)
app.command()(reject_root)

Hospital = Annotated[str, typer.Argument(help="The hospital: index, name or address.")]
LeafIndex = Annotated[int, typer.Argument(metavar="LEAF", min=0, help="The leaf's index.")]


@app.command()
def leaf(study: StudyNumber, round_number: RoundNo, hospital: Hospital, index: LeafIndex) -> None:
    """Void for a leaf whose consent was inactive, expires, or is of another hospital or study.

    Example: consilium --home homes/auditor challenge leaf 1 2 north 17
    """
    party = open_party()
    frozen = _frozen(party, study, round_number, hospital)
    proven = proven_leaf(party.store, frozen, index)
    challenges = party.chain.challenges
    found = challenges.ground_of(
        frozen.freeze, proven.leaf, proven.proof, block_identifier=party.head()
    )
    if found is Ground.NONE:
        raise ApiError(f"leaf {index} of {hospital} in round {round_number} is sound")
    _void(party, challenges.challenge_leaf(frozen.freeze, proven.leaf, proven.proof), hospital)
    say(f"ground: {found.name.lower().replace('_', ' ')}")


@app.command()
def order(study: StudyNumber, round_number: RoundNo, hospital: Hospital, index: LeafIndex) -> None:
    """Void for a leaf whose consent id does not exceed that of the one before it.

    Example: consilium --home homes/auditor challenge order 1 2 north 17
    """
    party = open_party()
    frozen = _frozen(party, study, round_number, hospital)
    a = proven_leaf(party.store, frozen, index - 1)
    b = proven_leaf(party.store, frozen, index)
    if a.leaf.id < b.leaf.id:
        raise ApiError(f"leaves {index - 1} and {index} of {hospital} are in order")
    call = party.chain.challenges.challenge_order(frozen.freeze, a.leaf, a.proof, b.leaf, b.proof)
    _void(party, call, hospital)


@app.command()
def split(
    study: StudyNumber,
    round_number: RoundNo,
    hospital: Hospital,
    files: Annotated[list[Path], typer.Argument(help="Two files of `challenge proof`.")],
) -> None:
    """Void for two different leaves with one index.

    Example: consilium --home homes/auditor challenge split 1 2 north a.json b.json
    """
    if len(files) != 2:
        raise ApiError(f"two leaves with one index are needed, not {len(files)}")
    party = open_party()
    freeze = _frozen(party, study, round_number, hospital).freeze
    a, b = (Proven.from_json(json.loads(path.read_text("utf-8"))) for path in files)
    call = party.chain.challenges.challenge_split_index(freeze, a.leaf, a.proof, b.leaf, b.proof)
    _void(party, call, hospital)


@app.command()
def proof(
    study: StudyNumber,
    round_number: RoundNo,
    hospital: Hospital,
    index: LeafIndex,
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write a leaf with its proof to a file, out of the published list.

    Example: consilium --home homes/auditor challenge proof 1 2 north 17 --out leaf.json
    """
    with reading() as party:
        proven = proven_leaf(party.store, _frozen(party, study, round_number, hospital), index)
    write_file(out, json.dumps(proven.to_json(), indent=1) + "\n")
    say(f"leaf {index} and its proof are in {out}")


@app.command()
def demand(study: StudyNumber, round_number: RoundNo, hospital: Hospital, index: LeafIndex) -> None:
    """Demand a leaf on-chain; costs the study's deposit, except its auditors.

    Example: consilium --home homes/auditor challenge demand 1 2 north 17
    """
    party = open_party()
    freeze = _frozen(party, study, round_number, hospital).freeze
    found = study_of(party, study)
    if found.terms.demand_deposit and party.address not in found.auditors:
        token = party.chain.token(found.terms.token)
        approval = token.approve(party.chain.escrow.address, found.terms.demand_deposit)
        party.chain.client.send(approval)
    step = f"demand-{study}-{round_number}-{freeze.hospital}-{index}"
    party.chain.client.send(party.chain.challenges.demand(freeze, index), step=step)
    say(f"{hospital} has {found.terms.answer_period} seconds to answer for leaf {index}")


@app.command()
def answer(study: StudyNumber, round_number: RoundNo, hospital: Hospital, index: LeafIndex) -> None:
    """Answer a demand for a leaf out of the published list; anyone may.

    Example: consilium --home homes/north challenge answer 1 2 north 17
    """
    party = open_party()
    frozen = _frozen(party, study, round_number, hospital)
    proven = proven_leaf(party.store, frozen, index)
    call = party.chain.challenges.answer(frozen.freeze, proven.leaf, proven.proof)
    party.chain.client.send(call)
    say(f"leaf {index} is answered for")


@app.command()
def expire(study: StudyNumber, round_number: RoundNo, hospital: Hospital, index: LeafIndex) -> None:
    """Void a hospital that did not answer a demand in time.

    Example: consilium --home homes/auditor challenge expire 1 2 north 17
    """
    party = open_party()
    freeze: Freeze = _frozen(party, study, round_number, hospital).freeze
    _void(party, party.chain.challenges.expire(freeze, index), hospital)


@app.command()
def missing(study: StudyNumber, round_number: RoundNo, hospital: Hospital) -> None:
    """Sign, as a named auditor, that a hospital's list of leaves is nowhere.

    Example: consilium --home homes/auditor challenge missing 1 2 north
    """
    party = open_party(HomeRole.AUDITOR)
    frozen = _frozen(party, study, round_number, hospital)
    signed = rule_on_list(party, study_of(party, study), frozen)
    say(f"signed: nobody has the list of {hospital}; the center leaves its update out")
    _tell_silence(signed)


@app.command()
def unopened(study: StudyNumber, round_number: RoundNo, hospital: Hospital) -> None:
    """Try, as a named auditor, an update that the center cannot open.

    If it opens, its key is wrapped for the center; else the auditor signs that it does not.

    Example: consilium --home homes/auditor challenge unopened 1 2 north
    """
    party = open_party(HomeRole.AUDITOR)
    frozen = _frozen(party, study, round_number, hospital)
    event = submission_of(party, frozen)
    signed = rule_on_update(party, study_of(party, study), frozen, event)
    if signed is None:
        say(f"it opens: the update of {hospital} is wrapped for the center, which can finalize")
    else:
        say(f"signed: the update of {hospital} does not open; the center leaves it out")
        _tell_silence(signed)


def _tell_silence(signed: Signed) -> None:
    if signed.silence is not None:
        warn(f"who did not answer may have it all the same: {signed.silence}")


def _frozen(party: Party, study: int, round_number: int, hospital: str) -> Frozen:
    found = study_of(party, study)
    number = round_of(party, StudyId(study), round_number)
    return freeze_of(party, found, number, hospital_index(party, found, hospital))


def _void(party: Party, call: Call, hospital: str) -> None:
    party.chain.client.send(call)
    say(f"the update of {hospital} is void; its share is cancelled, its bond goes to the patients")
