"""`consilium audit`: replays a study from chain and store alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from api.cli.options import AsJson, DeploymentPath, LastStudy, Node, StorePath
from api.cli.place import Outside, demo, in_demo, open_party, place, reading
from api.cli.show import json_object, say, table
from api.cli.values import names_of
from api.errors import ApiError
from api.home import Home, HomeRole
from chain.attestations import Verdict as Word
from chain.errors import NoPassphrase
from chain.types import RoundNumber, StudyId
from federated.auditor import Level, Outcome, Verdict, replay
from federated.party import Party
from storage.cid import Codec

_WORDS = {
    Outcome.OK: Word.OK,
    Outcome.ERASED: Word.INCOMPLETE,
    Outcome.INCOMPLETE: Word.INCOMPLETE,
    Outcome.TAMPERED: Word.TAMPERED,
}


def audit(
    study: LastStudy = None,
    keyed: Annotated[
        bool | None,
        typer.Option("--keyed/--keyless", help="Else keyed in the home of a named auditor."),
    ] = None,
    attest: Annotated[
        bool, typer.Option("--attest", help="Record the verdict on-chain; an auditor's.")
    ] = False,
    as_json: AsJson = False,
    rpc: Node = None,
    store: StorePath = None,
    deployment: DeploymentPath = None,
) -> None:
    """Replay a study; exit status 0 only when all checks of the level hold.

    Without a key everything but the open-mode aggregates is checked; with the key of an auditor
    whom the study names, those too, bit for bit. Works with any home, in the folder of a demo, or
    with --rpc, --store and --deployment alone.

    Example: consilium --home homes/auditor audit 1 --keyed --attest
    """
    with _party(keyed, attest, Outside(rpc, store, deployment)) as (party, has_key):
        number = _number(party, study)
        level = _level(party, number, keyed, has_key)
        verdict = replay(party, number, level=level)
        if attest:
            _attest(party, verdict)
        if as_json:
            json_object(verdict.to_json())
        else:
            _print(party, verdict)
    if not verdict.ok:
        raise typer.Exit(1)


@contextmanager
def _party(keyed: bool | None, attest: bool, outside: Outside) -> Iterator[tuple[Party, bool]]:
    """The party that audits, and whether it has an auditor's key."""
    alone = outside.deployment is not None or (keyed is False and not attest)
    if alone:
        with reading(outside) as party:
            yield party, False
    elif in_demo():
        with demo() as (rpc, folder):
            yield Home.open(folder / "auditor").party(rpc), True
    elif keyed or attest or _is_auditor():
        yield open_party(HomeRole.AUDITOR), True
    else:
        with reading(outside) as party:
            yield party, False


def _is_auditor() -> bool:
    try:
        return Home.open(place().home).config.role is HomeRole.AUDITOR
    except NoPassphrase:
        return False


def _level(party: Party, study: StudyId, keyed: bool | None, has_key: bool) -> Level:
    if keyed is None:
        block = party.head()
        keyed = has_key and party.chain.studies.is_auditor(
            study, party.address, block_identifier=block
        )
    if keyed and not has_key:
        raise ApiError("--keyed needs the home of an auditor whom the study names")
    return Level.KEYED if keyed else Level.KEYLESS


def _number(party: Party, study: int | None) -> StudyId:
    """The study's number; its spec is not read here, for that it is missing is a finding."""
    newest = party.chain.studies.count(block_identifier=party.head())
    if not newest:
        raise ApiError("this chain has no study yet: there is nothing to audit")
    return StudyId(study or newest)


def _attest(party: Party, verdict: Verdict) -> None:
    report = party.store.put_block(Codec.DAG_CBOR, verdict.to_bytes())
    party.store.pin(report)
    word = _WORDS[verdict.outcome]
    call = party.chain.attestations.attest(
        StudyId(verdict.study), RoundNumber(0), verdict.level, word, report.digest
    )
    party.chain.client.send(call)


def _print(party: Party, verdict: Verdict) -> None:
    level = verdict.level.name.lower()
    where = f"study {verdict.study} up to block {verdict.block}, {level}"
    if verdict.ok:
        say(f"ok: all {len(verdict.checks)} checks hold ({where})")
        return
    rows = [
        (
            check.round_number or "-",
            _hospital(party, verdict, check.hospital),
            check.name,
            check.detail,
        )
        for check in verdict.failures
    ]
    columns = ("round", "hospital", "check", "why")
    if verdict.outcome is Outcome.ERASED:
        table(f"erased, and nothing else is wrong: {where}", columns, rows)
        say(f"erased: {len(rows)} of {len(verdict.checks)} checks cannot be made any more")
        return
    if verdict.outcome is Outcome.INCOMPLETE:
        table(f"incomplete, and nothing that was found is wrong: {where}", columns, rows)
        say(f"incomplete: {len(rows)} of {len(verdict.checks)} checks could not be made; try again")
        return
    table(f"does not hold: {where}", columns, rows)
    say(f"{len(rows)} of {len(verdict.checks)} checks do not hold")


def _hospital(party: Party, verdict: Verdict, index: int | None) -> str:
    if index is None:
        return "-"
    account = party.chain.studies.hospital_at(
        StudyId(verdict.study), index, block_identifier=party.head()
    )
    name = names_of(party, [account])[0]
    return name if name == account else f"{name} ({account})"
