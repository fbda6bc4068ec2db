"""How the study was conducted: consents, data, money, transfers."""

from __future__ import annotations

from statistics import median

from api.report.blocks import (
    COUNTED,
    MEASURED,
    ON_CHAIN,
    REPORTED,
    Block,
    Cell,
    Plots,
    Section,
    Table,
    Text,
    row,
    table,
)
from api.report.data import Contribution, ReportData, Transfer
from api.report.numbers import (
    NONE,
    coarse,
    count,
    milliseconds,
    percent,
    plus,
    size,
    tokens,
)
from api.report.plots import LEGS, MODEL_STROKES, share_plot, transfer_plot

FIX_WORDS = {
    "clamped": "moved to the bound",
    "duplicate": "repeated row dropped",
    "imputed": "missing filled by the range's middle",
    "label": "label recoded",
    "missing-word": "word for missing",
    "outlier": "impossible, made missing",
    "zero-is-missing": "0 that means missing",
}


def consents(data: ReportData) -> Section:
    """Who was asked, and whose records each round used."""
    found = data.consents
    people = table(
        "consents",
        "Patients over the whole study",
        COUNTED,
        ("asked", "granted", "refused", "withdrew later"),
        [row(*(count(x) for x in (found.asked, found.granted, found.refused, found.revoked)))],
    )
    rows = []
    for number, cohort in enumerate(found.cohorts, start=1):
        total = sum(item or 0 for item in cohort)
        cells = [NONE if item is None else count(item) for item in cohort]
        rows.append(row(str(number), *cells, Cell(count(total), strong=True)))
    columns = ("round", *data.hospitals, "all")
    cohorts = table("cohorts", "Patients in each round's frozen cohorts", ON_CHAIN, columns, rows)
    words = (
        f"A grant counts for a study only under its purpose ({', '.join(data.study.purposes)}), "
        "and only while it lasts; so a cohort is smaller than the number of grants. Who withdraws "
        "is in no cohort from the next round on."
    )
    return Section("consents", "Consents", (people, Text(words), cohorts))


def quality(data: ReportData) -> Section:
    """What the files were like, by counts alone."""
    rules = sorted({item.rule for found in data.quality for item in found.cleaned})
    rows = []
    for found in data.quality:
        cells = {item.rule: coarse(item.cells) for item in found.cleaned}
        rows.append(
            row(
                found.hospital,
                NONE if found.rows is None else count(found.rows),
                coarse(found.quarantined),
                *(cells.get(rule, "0") for rule in rules),
            )
        )
    columns = ("hospital", "rows", "rows set aside", *(FIX_WORDS.get(x, x) for x in rules))
    caption = "Rows of each hospital's file, and cells that cleaning changed"
    words = (
        "Each hospital cleaned its own file by the dictionary's public rules and keeps the list "
        "of changes, row by row, to itself. Counts of 1 to 4 are not told apart here, nor are the "
        "rows of a hospital that set so few aside: less the patients asked, they would tell how "
        "many."
    )
    return Section(
        "data",
        "Data and cleaning",
        (Text(words), table("quality", caption, COUNTED, columns, rows)),
    )


_SHAPLEY = (
    "The study pays hospitals by contribution. In each round every hospital judges on its "
    "validation records models that the other hospitals join one after the other, and signs how "
    "much better each made them, over all orders of joining or over drawn ones (Shapley values); "
    "by that its own training records' share of the money goes to the others. So nobody's word "
    "moves its own share."
)


def money(data: ReportData) -> Section:
    """Who got what, and by which rule."""
    found = data.money
    hospitals = sum(item.paid for item in found.shares)
    rows = [
        row(f"{count(found.patients)} patients", tokens(found.patients_total)),
        row(f"{len(found.shares)} hospitals", tokens(hospitals)),
        row("back to the center", tokens(found.refunded)),
        row(Cell("budget", strong=True), Cell(tokens(found.budget), strong=True)),
    ]
    rule = data.study.reward_rule
    words = {
        "count": "The study pays hospitals by the number of training records in rounds that "
        "included them.",
        "leave-one-out": "The study pays hospitals by contribution. In each round every hospital "
        "judges on its validation records how much worse the model would be without each other "
        "hospital's update, and signs it; by that its own training records' share of the money "
        "goes to the others. So nobody's word moves its own share.",
        "tmc-shapley": _SHAPLEY,
        "gtg-shapley": _SHAPLEY,
    }.get(rule, f"The study pays hospitals by the rule “{rule}”.")
    key = (("training records", MODEL_STROKES[1]), ("money", MODEL_STROKES[0]))
    blocks: list[Block] = [
        Text(words),
        table("paid", "Where the budget went, in tokens", ON_CHAIN, ("to", "tokens"), rows),
        Plots((share_plot("shares-plot", found.shares),), key),
        _share_table(data),
        *_gain_table(data),
    ]
    return Section("money", "Contributions and payments", tuple(blocks))


def _share_table(data: ReportData) -> Table:
    shares = data.money.shares
    weight, paid = sum(x.weight for x in shares), sum(x.paid for x in shares)
    measured = any(item.contribution is not None for item in shares)
    rows = []
    for item in shares:
        cells = [item.hospital, count(item.weight), percent(item.weight, weight)]
        if measured:
            cells += _sure(item.contribution)
        rows.append(row(*cells, tokens(item.paid), percent(item.paid, paid)))
    columns = ["hospital", "training records, all rounds", "share of records"]
    if measured:
        columns += ["contribution, nats", "95 % interval", "error of drawn orders"]
    columns += ["paid, tokens", "share of money"]
    return table("shares", "What each hospital gave and got", ON_CHAIN, columns, rows)


def _sure(found: Contribution | None) -> list[str]:
    """A contribution, its interval over the hospitals that judged, its error over drawn orders."""
    if found is None:
        return [NONE] * 3
    span = NONE
    if found.low is not None and found.high is not None:
        span = f"{plus(found.low, 2)} to {plus(found.high, 2)}"
    drawn = NONE if not found.orders_se else f"{found.orders_se:.2f}"
    return [plus(found.value, 2), span, drawn]


def _gain_table(data: ReportData) -> list[Block]:
    if not data.money.gains:
        return []
    rows = [
        row(name, *(NONE if gain is None else plus(gain / 65536, 3) for gain in line))
        for name, line in zip(data.hospitals, data.money.gains, strict=True)
    ]
    columns = ("reported by", *(f"by {name}" for name in data.hospitals))
    caption = "Loss that each hospital's updates spared the others' validation records, nats"
    return [table("gains", caption, REPORTED, columns, rows)]


def transfers(data: ReportData) -> Section:
    """How long sealed updates took."""
    stores = list(dict.fromkeys(item.backend for item in data.transfers))
    panels, rows, each = [], [], []
    for place, backend in enumerate(stores):
        items = [item for item in data.transfers if item.backend == backend]
        panels.append(transfer_plot(f"transfer-{place}", backend, items))
        cells = [_spread(items, leg) for leg in LEGS]
        middle = median(item.bytes for item in items)
        rows.append(row(backend, count(len(items)), size(middle), *cells))
        each += [_transfer_row(item) for item in items]
    columns = ("store", "updates", "median size", *LEGS.values())
    caption = "Sealed updates on their way: median (least to most)"
    blocks: list[Block] = [
        Text(
            "Upload is from a hospital into the store, download from the store to the center, and "
            "the record on chain is the transaction that commits to the update. Only the stores "
            "“kubo-private” and “cluster-private” are IPFS."
        ),
        Plots(tuple(panels)),
        table("transfer", caption, MEASURED, columns, rows),
        *_store_table(data),
        table(
            "transfers",
            "Every transfer",
            MEASURED,
            ("round", "hospital", "store", "size", *LEGS.values()),
            each,
            words=(1, 2),
            folded=True,
        ),
    ]
    return Section("transfers", "Transfer times", tuple(blocks))


def _spread(items: list[Transfer], leg: str) -> str:
    times = sorted(1000 * getattr(item, leg) for item in items)
    return f"{median(times):,.1f} ms ({times[0]:,.1f} to {times[-1]:,.1f})"


def _transfer_row(item: Transfer) -> tuple[Cell, ...]:
    legs = (milliseconds(getattr(item, leg)) for leg in LEGS)
    return row(str(item.round_number), item.hospital, item.backend, size(item.bytes), *legs)


def _store_table(data: ReportData) -> list[Block]:
    if not data.stores:
        return []
    rows = [
        row(
            item.what,
            size(item.bytes),
            str(item.repeats),
            milliseconds(item.ipfs_upload_s),
            milliseconds(item.ipfs_download_s),
            milliseconds(item.recorded_upload_s),
            milliseconds(item.recorded_download_s),
        )
        for item in data.stores
    ]
    alone, recorded = "private IPFS alone", "with the record on chain"
    legs = (f"{how}: {leg}" for how in (alone, recorded) for leg in ("upload", "download"))
    columns = ("what", "size", "repeats", *legs)
    caption = "Private IPFS alone, and with the record on chain: medians"
    return [table("stores", caption, MEASURED, columns, rows)]
