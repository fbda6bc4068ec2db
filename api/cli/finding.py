"""`consilium study index` and `find`: artefacts by keyword, and the store learns none."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.cli.options import AsJson, StudyNumber
from api.cli.place import open_party
from api.cli.show import json_object, say, table, warn
from api.cli.values import names_of, study_of
from api.home import HomeRole
from chain.types import StudyId
from federated.finding import Hit
from federated.finding import find as find_listed
from federated.index_keys import share_key
from federated.indexing import index_own
from storage.cid import dag_cbor_cid


def index(
    study: StudyNumber,
    keyword: Annotated[
        list[str] | None, typer.Option(help="List them under it, too; repeatable.")
    ] = None,
    in_round: Annotated[
        list[int] | None,
        typer.Option("--round", min=0, help="Of these rounds alone; 0 is the study itself."),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Draw a new secret, once somebody left; a center's.")
    ] = False,
) -> None:
    """List what this home sealed for a study in an index that its members alone can search.

    The center runs it first: it gives the members the secret that keywords are hidden with. Run it
    again when artefacts were added or members joined.

    Example: consilium --home homes/north study index 1 --keyword mammography
    """
    party = open_party(HomeRole.CENTER, HomeRole.HOSPITAL)
    found = study_of(party, study)
    if party.address == found.center:
        share_key(party, found, renew=new_key)
    listed = index_own(party, found, keyword or (), in_round or ())
    say(f"study {study}: index {listed.number} lists {len(listed.entries)}")


def find(
    keyword: Annotated[list[str], typer.Argument(help="All must be listed.")],
    study: Annotated[
        list[int] | None, typer.Option("--study", min=1, help="Else in all; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find studies and artefacts by keyword, in every study that this home is a member of.

    Example: consilium --home homes/auditor study find mammography "round 2"
    """
    party = open_party(HomeRole.CENTER, HomeRole.HOSPITAL, HomeRole.AUDITOR)
    found = find_listed(party, keyword, [StudyId(number) for number in study or ()])
    rows: list[dict[str, Any]] = [
        {
            "study": hit.study,
            "round": hit.listed.round_number,
            "kind": hit.listed.kind,
            "author": hit.listed.account,
            "artefact": str(dag_cbor_cid(hit.listed.digest)),
            "gone": hit.gone,
        }
        for hit in sorted(found.hits, key=_place)
    ]
    if as_json:
        without = list(found.without_key)
        json_object({"found": rows, "refused": found.refused, "without_key": without})
        return
    for reason in found.refused:
        warn(f"not believed: {reason}")
    for number in found.without_key:
        warn(f"study {number} was not searched: no secret of its index is sealed to this home")
    if not rows:
        say("nothing is listed under " + ", ".join(map(repr, keyword)))
        return
    names = names_of(party, [row["author"] for row in rows])
    cells = [
        (row["study"], row["round"] or "-", row["kind"], name, row["artefact"], _gone(row))
        for row, name in zip(rows, names, strict=True)
    ]
    table("found", ("study", "round", "kind", "author", "artefact", "gone"), cells)


def _gone(row: dict[str, Any]) -> str:
    return "yes" if row["gone"] else ""


def _place(hit: Hit) -> tuple[int, int, str]:
    return hit.study, hit.listed.round_number, hit.listed.kind
