"""`consilium hospital admit` and `withdraw`: consents that a hospital attests or ends."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.consent import relayer_of
from api.cli.hospital_node import live_node
from api.cli.options import Relayer
from api.cli.place import open_home
from api.cli.show import say
from api.cli.values import moment, study_of
from api.errors import ApiError
from api.home import HomeRole
from chain.consent_types import Reason
from federated import hospital as steps
from federated.hospital import HospitalNode
from federated.hospital.admission import Presented
from federated.hospital.admission import withdraw as withdraw_patient
from federated.patient import SignedGrant
from records.record import LocalKey


class Why(StrEnum):
    """Why a hospital withdraws for a patient."""

    PAPER = "paper"
    KEY_LOST = "key-lost"
    DIED = "died"
    ERASURE = "erasure"


def admit(
    file: Annotated[
        Path, typer.Argument(help='A grant with --patient; else lines {"patient": …, "grant": …}.')
    ],
    patient: Annotated[
        str | None, typer.Option(help="The hospital's own key of the patient who handed it in.")
    ] = None,
    relayer: Relayer = None,
    deadline: Annotated[str, typer.Option(help="Until when it may be sent.")] = "+30d",
) -> None:
    """Say of grants that they are of patients of this hospital; a relayer sends them.

    Example: consilium --home homes/north hospital admit grant.json --patient north-0007
    """
    home, node = open_home(HomeRole.HOSPITAL), live_node()
    to = relayer_of(home, relayer)
    presented = steps.read_grants(file) if patient is None else [_presented(file, patient)]
    _check_known(node, presented)
    count = steps.admit(
        node,
        presented,
        relayer=to,
        deadline=moment(deadline, node.party.chain.client.timestamp()),
    )
    say(f"{count} grants admitted; they wait for {to} to send them")


def withdraw(
    patient: Annotated[str, typer.Argument(help="The hospital's own key of the patient.")],
    reason: Annotated[Why, typer.Option(help="Why the hospital does it.")],
) -> None:
    """Withdraw all consents of a patient who did so on paper, lost the key or died.

    Example: consilium --home homes/north hospital withdraw north-0007 --reason paper
    """
    name = reason.value.replace("-", "_").upper()
    count = withdraw_patient(live_node(), patient, Reason[name])
    if not count:
        raise ApiError("no consent of that patient stands here; check the key of the patient")
    say(f"{count} consents withdrawn")


def _presented(file: Path, patient: str) -> Presented:
    try:
        tree = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise ApiError(f"{file} is no grant: ask the patient for the file again") from exc
    return Presented(LocalKey(patient), SignedGrant.from_json(tree))


def _check_known(node: HospitalNode, presented: list[Presented]) -> None:
    """A grant of a person without a record would reserve money for nothing."""
    agreements = node.party.chain.agreements
    for agreement in {item.grant.agreement for item in presented}:
        tier = agreements.tier(agreement, block_identifier=node.party.head())
        dictionary = study_of(node.party, tier.study).spec.data.dictionary
        known = {record.key for record in node.records.records(dictionary)}
        unknown = sum(
            item.patient not in known for item in presented if item.grant.agreement == agreement
        )
        if unknown:
            raise ApiError(
                f"{unknown} grants are of patients of whom no record was imported: correct the "
                "keys, or import the records first; nobody was admitted"
            )
