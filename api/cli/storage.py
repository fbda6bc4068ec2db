"""`consilium storage`: a member's own artefacts, their erasure, and what may go from its store."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import AsJson, StudyNumber
from api.cli.place import open_party
from api.cli.show import group, json_object, say, table, warn
from api.cli.values import study_of, when
from api.errors import ApiError
from api.home import HomeRole
from chain.types import StudyId
from federated.collecting import find_leftovers
from federated.erasing import erase_own, own_artefacts
from storage.backends import open_store
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.erasure import Node, Tombstone
from storage.errors import MalformedCid
from storage.garbage import OLD_S, remove, unneeded
from storage.store import BlockStore

_SEALING = (HomeRole.CENTER, HomeRole.HOSPITAL)
_STORING = (*_SEALING, HomeRole.AUDITOR, HomeRole.OPERATOR, HomeRole.RELAYER)

app = group(
    """List and erase what this home sealed; collect what studies left in its store.

    Example: consilium storage collect --dry-run
    """
)


@app.command("list")
def list_own(study: StudyNumber, as_json: AsJson = False) -> None:
    """List the artefacts that this home sealed for a study, and until when they must last.

    Example: consilium --home homes/north storage list 1
    """
    party = open_party(*_SEALING)
    found = study_of(party, study)
    rows = [
        (
            str(dag_cbor_cid(own.item.digest)),
            own.item.kind,
            own.item.round_number,
            own.until,
            own.erased_at,
            own.left_at,
        )
        for own in own_artefacts(party, found)
    ]
    if as_json:
        names = ("artefact", "kind", "round", "keep_until", "erased_at", "left_at")
        artefacts = [dict(zip(names, row, strict=True)) for row in rows]
        json_object({"study": study, "artefacts": artefacts})
        return
    columns = ("artefact", "kind", "round", "must last until, UTC", "erased, UTC")
    cells = [(*row[:3], when(row[3]), _erased(*row[4:])) for row in rows]
    table(f"own artefacts of study {study}", columns, cells)


@app.command()
def erase(
    study: StudyNumber,
    artefact: Annotated[list[str], typer.Argument(help="CIDs, as `storage list` shows them.")],
    reason: Annotated[str, typer.Option(help="Why; every member can read it: name nobody.")],
    node: Annotated[
        list[str] | None,
        typer.Option(help="NAME=STORE of another node to erase at; repeatable."),
    ] = None,
) -> None:
    """Erase artefacts that this home sealed, once the study's evidence need not last.

    Done at this home's store and every --node; members whose nodes are not named erase at their
    own with `storage collect`. A tombstone stays, which audits show.

    Example: consilium --home homes/north storage erase 1 bafyrei... --reason "agreement ended"
    """
    party = open_party(*_SEALING)
    nodes = {party.name: _node(party.store)}
    for text in node or ():
        name, found, where = text.partition("=")
        if not found or name in nodes:
            raise ApiError(f"--node {text!r} is not NAME=STORE with a name of its own")
        nodes[name] = _node(open_store(where))
    digests = [_digest(text) for text in artefact]
    stones = [erase_own(party, StudyId(study), digest, nodes, reason) for digest in digests]
    for stone in stones:
        _tell(stone)
    if not all(stone.complete for stone in stones):
        raise typer.Exit(1)


@app.command()
def collect(
    give_up: Annotated[
        list[int] | None,
        typer.Option("--give-up", min=1, help="A study past `refund`, all of it; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List it, and remove nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove from this home's store what erased and given-up studies left, and what no pin needs.

    Nothing that another study needs goes. Who gives a study up can no longer audit it from here.

    Example: consilium --home homes/north storage collect --give-up 1 --dry-run
    """
    party = open_party(*_STORING)
    store = _node(party.store)
    garbage = find_leftovers(party, store, [StudyId(number) for number in give_up or ()])
    kept = [] if dry_run else remove(store, garbage)
    old = (0, 0)
    if isinstance(store, EmbeddedStore):
        old = unneeded(store, min_age_s=OLD_S)
        if not dry_run:
            store.collect(min_age_s=OLD_S)
    if as_json:
        names = ("pins", "blocks", "bytes", "unneeded_blocks", "unneeded_bytes")
        pins = [str(cid) for cid in garbage.roots]
        values = (pins, len(garbage.blocks) - len(kept), garbage.size, *old)
        json_object({"removed": not dry_run, **dict(zip(names, values, strict=True))})
        return
    for cid in garbage.roots:
        say(f"{'would unpin' if dry_run else 'unpinned'} {cid}")
    verb, count = "would remove" if dry_run else "removed", len(garbage.blocks) - len(kept)
    say(f"{verb} {count} blocks of {garbage.size} bytes, which {len(garbage.roots)} pins kept")
    say(f"{verb} {old[0]} blocks of {old[1]} bytes that no pin needs and nobody wrote for a day")


def _erased(at: int | None, left_at: list[str]) -> str:
    return f"not at {', '.join(left_at)}" if left_at else "" if at is None else when(at)


def _tell(stone: Tombstone) -> None:
    cid = dag_cbor_cid(stone.manifest_digest)
    answers = ", ".join(f"{name}: {answer.value}" for name, answer in stone.answers.items())
    say(f"{cid}: {answers}; tombstone {stone.cid}")
    if not stone.complete:
        warn(f"{cid} is not erased everywhere: look at the nodes named, then erase it again")


def _digest(text: str) -> bytes:
    cid = Cid.parse(text)
    if cid.codec is not Codec.DAG_CBOR:
        raise MalformedCid(f"{text} is no manifest's CID: copy it from `consilium storage list`")
    return cid.digest


def _node(store: BlockStore) -> Node:
    assert isinstance(store, Node)  # every backend can part with blocks
    return store
