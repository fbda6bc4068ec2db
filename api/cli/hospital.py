"""`consilium hospital`: records, approval, admission, and the steps of a round."""

from __future__ import annotations

import json
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.consent import relayer_of
from api.cli.hospital_node import hospital
from api.cli.hospital_policy import approve, policy
from api.cli.options import AsJson, LastRound, Relayer, StudyNumber, Watch
from api.cli.place import check_chain, open_home, place
from api.cli.show import group, json_object, pairs, say, table
from api.cli.values import figure_text, moment, round_of, study_of
from api.cli.watching import Patience
from api.cli.watching import watch as keep_watching
from api.errors import ApiError
from api.home import HomeRole
from chain.consents import Reason
from chain.types import StudyId
from federated import hospital as steps
from federated.errors import CohortError, PolicyRefused
from federated.hospital import HospitalNode
from federated.hospital.admission import Presented
from federated.hospital.admission import withdraw as withdraw_patient
from federated.hospital.data import read_file
from federated.hospital.personalise import personalise as keep_better
from federated.hospital.run import advance
from federated.patient import SignedGrant
from federated.spec import StudySpec
from federated.task_results import TaskResults
from federated.tasks import task_of
from records.importer import Imported
from records.quality import QualityReport
from records.record import LocalKey
from records.splits import Part
from records.store import RecordStore

app = group(
    """Import records, approve studies, admit patients, train, submit.

    Example: consilium --home homes/north hospital run 1 --watch
    """
)
app.add_typer(policy, name="policy")

_SHOWN = 10


class Why(StrEnum):
    """Why a hospital withdraws for a patient."""

    PAPER = "paper"
    KEY_LOST = "key-lost"
    DIED = "died"
    ERASURE = "erasure"


class Evaluated(StrEnum):
    """Which of the cohort's patients a model is evaluated on."""

    VALIDATION = "validation"
    TEST = "test"


def _node() -> HospitalNode:
    node = open_home(HomeRole.HOSPITAL).hospital(place().rpc)
    check_chain(node.party)
    return node


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The hospital's CSV file, one row a patient.")],
    study: Annotated[int, typer.Option(min=1, help="The study whose dictionary is used.")],
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Keep broken rows aside, import the others.")
    ] = False,
) -> None:
    """Import the hospital's records by a study's dictionary, in the place of earlier ones.

    A file with broken rows is refused, and what was imported before stays; --quarantine keeps those
    rows aside.

    Example: consilium --home homes/north hospital import records.csv --study 1
    """
    node = _node()
    spec = study_of(node.party, study).spec
    imported = read_file(file, spec)
    if imported.quarantine and not quarantine:
        raise ApiError(f"{file}: {_broken(imported)}; nothing was imported")
    node.records.replace(imported, spec.data.dictionary)
    report = imported.report
    say(f"{report.accepted} of {report.rows} rows imported, {report.quarantined} in quarantine")


@app.command()
def quality(as_json: AsJson = False) -> None:
    """Show how good the imported file is; nothing of it leaves the hospital.

    Example: consilium --home homes/north hospital quality
    """
    home = open_home(HomeRole.HOSPITAL)
    store = RecordStore(home.path / "records.sqlite")
    report = store.report()
    changed = Counter((change.rule.value, change.field) for change in store.changes())
    if as_json:
        altered = [{"rule": r, "field": f, "cells": n} for (r, f), n in changed.items()]
        json_object(_quality_tree(report) | {"changes": altered})
        return
    pairs([(name, getattr(report, name)) for name in ("rows", "accepted", "quarantined")])
    rows = [
        (check.category.value, check.rule.value, check.field, check.failed, f"{check.percent:.1f}")
        for check in report.failed
    ]
    table("rules that rows break", ("category", "rule", "field", "rows", "%"), rows)
    cleaned = [(rule, field, cells) for (rule, field), cells in changed.most_common()]
    if cleaned:
        table("what cleaning changed", ("rule", "field", "cells"), cleaned)


app.command()(approve)


@app.command()
def join(study: StudyNumber) -> None:
    """Enrol in an approved study, posting its bond.

    Example: consilium --home homes/north hospital join 1
    """
    index = steps.join(_node(), StudyId(study))
    say(f"study {study}: enrolled with index {index}")


@app.command()
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
    home, node = open_home(HomeRole.HOSPITAL), _node()
    to = relayer_of(home, relayer)
    presented = steps.read_grants(file) if patient is None else [_presented(file, patient)]
    _check_known(node, presented)
    count = steps.admit(
        node,
        presented,
        relayer=to,
        deadline=moment(deadline, node.party.chain.client.timestamp()),
        signing_key=home.account_key(),
    )
    say(f"{count} grants admitted; they wait for {to} to send them")


@app.command()
def withdraw(
    patient: Annotated[str, typer.Argument(help="The hospital's own key of the patient.")],
    reason: Annotated[Why, typer.Option(help="Why the hospital does it.")],
) -> None:
    """Withdraw all consents of a patient who did so on paper, lost the key or died.

    Example: consilium --home homes/north hospital withdraw north-0007 --reason paper
    """
    name = reason.value.replace("-", "_").upper()
    count = withdraw_patient(_node(), patient, Reason[name])
    if not count:
        raise ApiError("no consent of that patient stands here; check the key of the patient")
    say(f"{count} consents withdrawn")


@app.command()
def freeze(study: StudyNumber, round_number: LastRound = None) -> None:
    """Commit to the cohort of a round, before training.

    Example: consilium --home homes/north hospital freeze 1
    """
    node = _node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.freeze(node, StudyId(study), number)
    say(f"round {number}: {done.n} patients at block {done.snapshot}, root {done.root.hex()}")


@app.command()
def train(study: StudyNumber, round_number: LastRound = None) -> None:
    """Train on the frozen cohort and seal the update; nothing is submitted yet.

    Example: consilium --home homes/north hospital train 1
    """
    node = _node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.train(node, StudyId(study), number)
    say(f"round {number}: {done.size} bytes sealed, manifest {done.sealed.manifest_digest.hex()}")


@app.command()
def submit(study: StudyNumber, round_number: LastRound = None) -> None:
    """Record the sealed update of a round on-chain.

    Example: consilium --home homes/north hospital submit 1
    """
    node = _node()
    number = round_of(node.party, StudyId(study), round_number)
    seconds = steps.submit(node, StudyId(study), number)
    say(f"round {number}: submitted in {seconds:.2f} s")


@app.command()
def report(study: StudyNumber, round_number: LastRound = None) -> None:
    """Judge the models that the center proposes on the own validation patients, and sign counts.

    For studies that pay by contribution, after all have submitted and before the round is
    finalized.

    Example: consilium --home homes/north hospital report 1
    """
    node = _node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.report(node, StudyId(study), number)
    if done is None:
        raise ApiError(
            f"study {study}: round {number}: the center has proposed no models with this "
            "hospital's update yet: wait for `consilium center propose`"
        )
    if done.evaluations:
        say(f"round {number}: {len(done.evaluations)} models judged, the counts are signed")
    else:
        say(f"round {number}: too few validation patients of a class: no counts leave")


@app.command()
def evaluate(
    study: StudyNumber,
    round_number: LastRound = None,
    part: Annotated[Evaluated, typer.Option(help="On which patients.")] = Evaluated.VALIDATION,
) -> None:
    """Publish signed counts, or the task's figures, of a finalized round's model on own patients.

    Example: consilium --home homes/north hospital evaluate 1 --part test
    """
    node = _node()
    number = round_of(node.party, StudyId(study), round_number)
    if not task_of(study_of(node.party, study).spec.task).counted:
        told = steps.publish_figures(node, StudyId(study), number, Part(part.value))
        _say_figures(told, study_of(node.party, study).spec)
        return
    done = steps.publish_results(node, StudyId(study), number, Part(part.value))
    if done.suppressed:
        say(f"round {number}: too few {part.value} patients of a class: no counts leave")
    else:
        say(f"round {number}: tp {done.tp}, fp {done.fp}, tn {done.tn}, fn {done.fn}")


@app.command()
def run(study: StudyNumber, watch: Watch = False) -> None:
    """Do whatever the study needs of this hospital now; with --watch, until its end.

    Example: consilium --home homes/north hospital run 1 --watch
    """
    node, number = _node(), StudyId(study)
    node.party.chain.client.resume()
    if not watch:
        done = advance(node, number, say)
        say(f"study {study}: " + ("over" if done else "nothing more is due now"))
        return
    patience = Patience()

    def step() -> bool:
        try:
            return advance(node, number, say)
        except (CohortError, PolicyRefused) as exc:
            # a cohort too small now may be large enough in the next round
            patience.warn(str(exc))
            return False

    keep_watching(node.party, step, patience)
    say(f"study {study}: over")


@app.command()
def personalise(study: StudyNumber) -> None:
    """After a study, retrain its model on the own patients, and keep the better one.

    Compared are the global model, the same trained further here as a whole or in its last layer
    alone, and one of the own patients alone, by the loss of the own validation patients. Another
    than the global one is kept where it is better by more than one standard error.

    Example: consilium --home homes/north hospital personalise 1
    """
    with hospital() as (home, node):
        done = keep_better(node, StudyId(study), home.path / "personal")
    say(f"study {study}: the {done.kept} model is kept, for {done.why}")
    say(
        f"it began from round {done.round_number}, state {done.state.hex()}; "
        f"{len(done.trained)} patients trained, {len(done.validated)} judged"
    )
    rows = [
        (item.kind, f"{item.loss:.4f}", f"{item.lead:+.4f}", f"{item.error:.4f}")
        for item in done.judged
    ]
    columns = ("model", "loss", "lower than the global one by", "standard error")
    table("on validation patients, a patient", columns, rows)


def _say_figures(done: TaskResults, spec: StudySpec) -> None:
    where = f"round {done.round_number}"
    if done.suppressed:
        say(f"{where}: too few {done.split} patients of a group: no figures leave")
        return
    told = ", ".join(
        f"{name} {figure_text(found, task_of(spec.task).step(name, spec))}"
        for name, found in done.estimates(spec).items()
        if found is not None
    )
    say(f"{where}: {told} on {done.people} {done.split} patients")


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


def _broken(imported: Imported) -> str:
    """Lines and rules, never a value."""
    shown = "; ".join(
        f"line {row.line}: "
        + ", ".join(f"{f.field or 'row'} ({f.rule.value})" for f in row.findings)
        for row in imported.quarantine[:_SHOWN]
    )
    more = len(imported.quarantine) - _SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    return (
        f"{len(imported.quarantine)} of {imported.report.rows} rows break a rule ({shown}{rest}): "
        "correct them, or import the others with --quarantine"
    )


def _quality_tree(report: QualityReport) -> dict[str, object]:
    return {
        "rows": report.rows,
        "accepted": report.accepted,
        "quarantined": report.quarantined,
        "failed": [
            {
                "category": check.category.value,
                "rule": check.rule.value,
                "field": check.field,
                "rows": check.failed,
            }
            for check in report.failed
        ],
    }
