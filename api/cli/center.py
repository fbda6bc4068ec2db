"""`consilium center`: rounds, aggregation, settlement, results."""

from __future__ import annotations

from api.cli.contributions import contributions
from api.cli.options import (
    AsJson,
    DeploymentPath,
    InRound,
    LastRound,
    LastStudy,
    Node,
    StorePath,
    StudyNumber,
    Watch,
)
from api.cli.place import Outside, open_party, reading
from api.cli.show import group, json_object, say, table
from api.cli.values import decimals_of, figure_text, names_of, round_of, study_of, tokens
from api.cli.watching import Patience
from api.cli.watching import watch as keep_watching
from api.home import HomeRole
from chain.types import StudyId
from federated import center as steps
from federated.center.run import advance
from federated.evaluation.disclosure import NOTHING
from federated.metrics import FIGURE_STEP, FIGURES, Confusion, Estimate, Scores
from federated.outcome import outcomes
from federated.party import Party
from federated.reported import figures_of, results_of
from federated.results import Results
from federated.study import Study
from federated.task_results import TaskResults
from federated.tasks import task_of

app = group(
    """Open rounds, aggregate, finalize, settle.

    Example: consilium --home homes/center center run 1 --watch
    """
)


def _party() -> Party:
    return open_party(HomeRole.CENTER)


@app.command("open")
def open_(study: StudyNumber) -> None:
    """Open the next round from the newest state that stands.

    Example: consilium --home homes/center center open 1
    """
    number = steps.open_round(_party(), StudyId(study))
    say(f"study {study}: round {number} is open")


@app.command()
def propose(study: StudyNumber, round_number: LastRound = None) -> None:
    """Seal a round's model, and those without each hospital, for the hospitals to judge.

    For studies that pay by contribution, when all have submitted.

    Example: consilium --home homes/center center propose 1
    """
    party = _party()
    number = round_of(party, StudyId(study), round_number)
    done = steps.propose(party, StudyId(study), number)
    if done is None:
        say(f"round {number}: nothing to judge: the study pays by count, or one hospital is alone")
        return
    say(f"round {number}: {len(done.items)} models proposed; hospitals may report on them")


@app.command()
def aggregate(study: StudyNumber, round_number: LastRound = None) -> None:
    """Fetch, judge and sum all submissions of a round; nothing goes on-chain yet.

    Example: consilium --home homes/center center aggregate 1
    """
    party = _party()
    number = round_of(party, StudyId(study), round_number)
    done = steps.aggregate(party, StudyId(study), number)
    say(f"round {number}: {done.included.bit_count()} updates, state {done.state.hex()}")


@app.command()
def finalize(study: StudyNumber, round_number: LastRound = None) -> None:
    """Aggregate unless done, and bind the result on-chain.

    Example: consilium --home homes/center center finalize 1
    """
    party = _party()
    number = round_of(party, StudyId(study), round_number)
    done = steps.finalize(party, StudyId(study), number)
    say(f"round {number}: finalized {done.included.bit_count()} updates, {done.state.hex()}")


@app.command()
def run(study: StudyNumber, watch: Watch = False) -> None:
    """Open or finalize the round that is due; with --watch, until the study's rounds are over.

    Example: consilium --home homes/center center run 1 --watch
    """
    party = _party()
    party.chain.client.resume()
    if watch:
        keep_watching(party, lambda: advance(party, StudyId(study), say), Patience())
        done = True
    else:
        done = advance(party, StudyId(study), say)
    say(f"study {study}: " + ("its rounds are over" if done else "nothing more is due now"))


@app.command()
def settle(study: StudyNumber) -> None:
    """Compute the hospitals' shares, and post their root where the study's rule needs one.

    Example: consilium --home homes/center center settle 1
    """
    party = _party()
    shares = steps.settle(party, StudyId(study))
    found = study_of(party, study)
    decimals = decimals_of(party, found.number)
    names = names_of(party, found.hospitals)
    measured = contributions(party, found)
    columns = ("hospital", *measured.columns, "tokens")
    rows = [
        (names[index], *measured.row(index), tokens(units, decimals))
        for index, units in sorted(shares.items())
    ]
    table(f"shares by {found.spec.reward.rule}", columns, rows)


@app.command()
def refund(study: StudyNumber) -> None:
    """Bring back what may return to the center now.

    Example: consilium --home homes/center center refund 1
    """
    party = _party()
    units = steps.refund(party, StudyId(study))
    say(f"{tokens(units, decimals_of(party, StudyId(study)))} tokens returned to the center")


@app.command()
def status(
    study: LastStudy = None,
    round_number: InRound = None,
    as_json: AsJson = False,
    rpc: Node = None,
    store: StorePath = None,
    deployment: DeploymentPath = None,
) -> None:
    """Show of each hospital what became of it in a round: in the model, or not and why.

    Example: consilium --home homes/center center status 1
    """
    with reading(Outside(rpc, store, deployment)) as party:
        found = study_of(party, study)
        number = round_of(party, found.number, round_number)
        names = names_of(party, found.hospitals)
        said = outcomes(party, found, number, party.head())
        rows = [{"hospital": names[item.hospital], "outcome": item.said} for item in said]
        if as_json:
            json_object(rows)
            return
        title = f"study {found.number}, round {number}"
        table(title, ("hospital", "outcome"), [list(row.values()) for row in rows])


@app.command()
def results(
    study: LastStudy = None,
    round_number: InRound = None,
    as_json: AsJson = False,
    rpc: Node = None,
    store: StorePath = None,
    deployment: DeploymentPath = None,
) -> None:
    """Show how hospitals say that a round's model does on their own patients.

    Example: consilium --home homes/center center results 1 --round 5
    """
    with reading(Outside(rpc, store, deployment)) as party:
        found = study_of(party, study)
        number = round_of(party, found.number, round_number)
        figures = task_of(found.spec.task).figures
        if task_of(found.spec.task).counted:
            rows = _rows(party, found, results_of(party, found, number, party.head()))
        else:
            rows = _figures(party, found, figures_of(party, found, number, party.head()))
        if as_json:
            json_object(rows)
            return
        columns = ("hospital", "split", *figures)
        title = f"study {found.number}, round {number}"
        table(title, columns, [[row[name] or "-" for name in columns] for row in rows])


def _rows(party: Party, study: Study, reported: list[Results]) -> list[dict[str, object]]:
    names = names_of(party, study.hospitals)
    rows = [_row(names[item.hospital], item.split, item.counts, item.area) for item in reported]
    for split in sorted({item.split for item in reported}):
        counts = [x for item in reported if item.split == split and (x := item.counts) is not None]
        if counts:
            pooled = sum(counts[1:], start=counts[0])
            rows.append(_row("all that published", split, pooled, None))
    return rows


def _figures(party: Party, study: Study, reported: list[TaskResults]) -> list[dict[str, object]]:
    names = names_of(party, study.hospitals)
    return [
        {"hospital": names[item.hospital], "split": item.split}
        | {
            figure: _shown(found, task_of(item.task).step(figure, study.spec))
            for figure, found in item.estimates(study.spec).items()
        }
        for item in reported
    ]


def _row(
    name: str, split: str, counts: Confusion | None, area: Estimate | None
) -> dict[str, object]:
    found = Scores.of(counts, area) if counts else NOTHING
    figures = {name: _shown(getattr(found, name), _step(name)) for name in FIGURES}
    return {"hospital": name, "split": split, **figures}


def _step(figure: str) -> float:
    """Shares follow from counts, which are exact."""
    return FIGURE_STEP if figure == "auc" else 0.001


def _shown(figure: Estimate | None, step: float) -> str | None:
    return None if figure is None else figure_text(figure, step)
