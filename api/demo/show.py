"""The demo's end as a person reads it: figures, consents, transfers, the verdict, the money."""

from __future__ import annotations

from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from api.demo.run import DemoResult
from federated.metrics import LOSS_UNIT, Estimate
from federated.simulate import Row

TOKEN = 10**18


def show(console: Console, result: DemoResult) -> None:
    """Print every table."""
    console.print()
    console.print(_figures(result))
    console.print(
        "  federated rows of a hospital: counts that it signed; all other rows: the simulation, "
        "which alone sees all records\n",
        style="dim",
    )
    console.print(_consents(result))
    console.print(_transfers(result))
    if result.transfer_table:
        console.print(_comparison(result))
        console.print(
            "  medians in seconds; upload: sealed, stored at a hospital's node and announced; "
            "download: at the center's, each byte checked; with the record: written to the chain, "
            "and compared there before opening\n",
            style="dim",
        )
    console.print(_rewards(result))
    _verdict(console, result)


def _figures(result: DemoResult) -> Table:
    title = f"{result.study}, seed {result.seed}: test records, 95 % intervals"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model, test", no_wrap=True)
    for column in ("accuracy", "sensitivity", "specificity", "AUC"):
        table.add_column(column, justify="right", no_wrap=True)
    model = ""
    for row in result.rows:
        if row.model != model:
            model = row.model
            table.add_row(f"[bold]{model}[/bold]")
        table.add_row(f"  {row.test}", *_cells(row), end_section=row is result.rows[-1])
    return table


def _cells(row: Row) -> list[str]:
    scores = row.scores
    figures = (scores.accuracy, scores.sensitivity, scores.specificity, scores.auc)
    return [_figure(figure) for figure in figures]


def _figure(figure: Estimate | None) -> str:
    """As `.953 .90–.98`: four of them fit a line of 80 columns."""
    if figure is None:
        return "–"
    value = f"{figure.value:.3f}".removeprefix("0")
    low, high = (f"{x:.2f}".removeprefix("0") for x in (figure.low, figure.high))
    return f"{value} {low}–{'1' if high == '1.00' else high}"


def _consents(result: DemoResult) -> Table:
    table = Table(title="consents")
    cohorts = result.rounds.cohorts
    names = ("asked", "granted", "refused", "revoked")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("in cohort, by round", justify="right")
    counts = [str(getattr(result.consenting, name)) for name in names]
    table.add_row(*counts, ", ".join(map(str, cohorts)))
    return table


def _transfers(result: DemoResult) -> Table:
    table = Table(title="transfer of sealed updates, median of all rounds")
    for name in ("store", "updates", "bytes", "upload", "download", "record on chain"):
        table.add_column(name, justify="left" if name == "store" else "right")
    items = result.rounds.transfers
    legs = [
        f"{1000 * median(getattr(item, leg) for item in items):.1f} ms"
        for leg in ("upload_s", "download_s", "chain_s")
    ]
    table.add_row(items[0].backend, str(len(items)), str(items[0].bytes), *legs)
    return table


def _comparison(result: DemoResult) -> Table:
    table = Table(title="private IPFS alone, and with the record on chain")
    table.add_column("what")
    for name in ("times", "IPFS: up", "down", "with record: up", "down"):
        table.add_column(name, justify="right")
    for row in result.transfer_table:
        figures = (
            row.ipfs_upload_s,
            row.ipfs_download_s,
            row.recorded_upload_s,
            row.recorded_download_s,
        )
        table.add_row(row.what, str(row.repeats), *(f"{figure:.3f}" for figure in figures))
    return table


def _rewards(result: DemoResult) -> Table:
    paid = result.paid
    table = Table(title=f"rewards, in tokens; hospitals by {paid.rule}")
    table.add_column("to")
    if paid.contributions:
        table.add_column("contribution, nats", justify="right")
    table.add_column("amount", justify="right")
    rows: list[tuple[str, int | None, int]] = [
        (f"{paid.patients_paid} patients", None, paid.patients_total)
    ]
    rows += [(name, paid.contributions.get(name), x) for name, x in paid.hospitals.items()]
    totals = (("paid", paid.paid), ("refunded to the center", paid.refundable))
    rows += [(name, None, amount) for name, amount in (*totals, ("budget", paid.budget))]
    for name, gain, amount in rows:
        nats = "" if gain is None else f"{gain / LOSS_UNIT:+.2f}"
        cells = (name, nats) if paid.contributions else (name,)
        table.add_row(*cells, _tokens(amount), end_section=name == list(paid.hospitals)[-1])
    return table


def _verdict(console: Console, result: DemoResult) -> None:
    verdict = result.verdict
    passed = sum(check.ok for check in verdict.checks)
    color = "green" if verdict.ok else "bold red"
    word = "ok" if verdict.ok else "NOT ok"
    text = f"audit ({verdict.level.name.lower()}): {word}, {passed} of {len(verdict.checks)} checks"
    console.print(text, style=color)
    for check in verdict.failures:
        where = f"round {check.round_number}, hospital {check.hospital}"
        console.print(f"  {check.name}: {where}: {check.detail}", style="red")
    console.print(f"global model {result.global_model.hex()}")
    console.print(f"{result.wall_s:.1f} s")


def _tokens(amount: int) -> str:
    return f"{amount / TOKEN:,.4f}"
