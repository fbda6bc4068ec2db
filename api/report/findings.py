"""Does federated training help? The comparisons in plain words."""

from __future__ import annotations

from api.report.blocks import SIMULATED, Block, Cell, Item, Items, Plots, Section, Text, row, table
from api.report.data import ReportData
from api.report.numbers import NONE, share, with_p
from api.report.plots import forest_plot
from federated.evaluation.paired import LEVEL, Finding, finding
from federated.evaluation.result import CENTRALISED, FEDERATED, POOLED, Comparison, own_model
from federated.metrics import Estimate
from federated.results import LEAST_COUNT

MARKS = {
    Finding.BETTER: "better",
    Finding.WORSE: "worse",
    Finding.UNCLEAR: "no difference can be told",
}
TOO_FEW = f"fewer than {LEAST_COUNT} test patients with or without the finding"


def on_own_patients(data: ReportData) -> dict[str, Comparison | None]:
    """Federated against each hospital's own model on that hospital's test; None where withheld."""
    return {name: data.evaluation.comparison(own_model(name), name) for name in data.hospitals}


def on_all_patients(data: ReportData) -> dict[str, Comparison | None]:
    """The same on the test records of all hospitals."""
    return {name: data.evaluation.comparison(own_model(name), POOLED) for name in data.hospitals}


def area_of(data: ReportData, model: str, test: str) -> Estimate | None:
    """An AUC; None where it is withheld."""
    return data.evaluation.cell(model, test).auc


def judged(item: Comparison | None) -> Finding:
    """What a comparison allows to say."""
    return finding(item.auc if item else None)


def helped_words(found: dict[str, Comparison | None]) -> str:
    """How many hospitals, by finding."""
    counts = dict.fromkeys(Finding, 0)
    missing = 0
    for item in found.values():
        if item is None:
            missing += 1
        else:
            counts[judged(item)] += 1
    parts = [
        (counts[Finding.BETTER], "better than the own model for"),
        (counts[Finding.WORSE], "worse than the own model for"),
        (counts[Finding.UNCLEAR], "no difference can be told for"),
        (missing, "not shown, for too few patients, for"),
    ]
    return "; ".join(f"{words} {count} of {len(found)}" for count, words in parts if count)


def section(data: ReportData) -> Section:
    """Where it is not shown to help first, then every figure."""
    own, pool = on_own_patients(data), on_all_patients(data)
    not_helped = [name for name in data.hospitals if judged(own[name]) is not Finding.BETTER]
    blocks: list[Block] = [_lead(data, not_helped)]
    if not_helped:
        blocks.append(Items(tuple(_item(data, name, own, pool) for name in not_helped)))
    blocks += [*_against_centralised(data), *_plots(own, pool), _table(data, own, pool)]
    blocks.append(
        Text(
            "Differences are federated minus own on the very same test patients: DeLong's test for "
            "AUC, McNemar's exact one for decisions at probability 0.5 (not shown where the two "
            f"decide differently on fewer than {LEAST_COUNT} patients, who can tell no "
            f"difference). One is claimed where p is below {LEVEL}; the interval then leaves out "
            "0. Else it is open which model is better. They tell how the result would vary with "
            "other patients, not with another seed, and are not widened for the number of "
            "comparisons: of twenty between models that are alike one is claimed by chance. The "
            "opponents were tuned on validation records; test records tuned nothing.",
            "note",
        )
    )
    return Section("not-helped", "Where federated training is not shown to help", tuple(blocks))


def _lead(data: ReportData, not_helped: list[str]) -> Text:
    if not not_helped:
        return Text(
            "At every hospital the federated model is better than the hospital's own model on the "
            "hospital's own test patients.",
            "good",
        )
    return Text(
        f"For {len(not_helped)} of {len(data.hospitals)} hospitals this study does not show that "
        "the federated model serves their own patients better than the model that they could have "
        "trained alone."
    )


def _item(
    data: ReportData,
    name: str,
    own: dict[str, Comparison | None],
    pool: dict[str, Comparison | None],
) -> Item:
    mine, all_ = own[name], pool[name]
    if mine is None:
        words = f"It has {TOO_FEW}, so nothing about its patients is shown."
        mark = "not shown"
    else:
        both = area_of(data, FEDERATED, name), area_of(data, own_model(name), name)
        words = (
            f"On its own test patients the federated model has AUC {_value(both[0])}, its own "
            f"{_value(both[1])}: a difference of {with_p(mine.auc)}."
        )
        mark = MARKS[judged(mine)]
        words += _brier_words(mine) + _decision_words(mine)
    if all_ is not None:
        words += f" On the patients of all hospitals: {with_p(all_.auc)}, {_than(all_)}."
    return Item(mark, name, words)


def _brier_words(item: Comparison) -> str:
    words = {Finding.BETTER: "less", Finding.WORSE: "more"}.get(finding(item.brier))  # it is a loss
    return f" Its probabilities are {words} accurate (Brier score {with_p(item.brier)})." * bool(
        words
    )


def _decision_words(item: Comparison) -> str:
    words = {Finding.BETTER: "more", Finding.WORSE: "less"}.get(finding(item.accuracy))
    return f" It decides rightly {words} often (accuracy {with_p(item.accuracy)})." * bool(words)


def _than(item: Comparison) -> str:
    return {
        Finding.BETTER: "better than its own model",
        Finding.WORSE: "worse than its own model",
        Finding.UNCLEAR: "where no difference can be told",
    }[judged(item)]


def _value(area: Estimate | None) -> str:
    return NONE if area is None else share(area.value)


def _against_centralised(data: ReportData) -> list[Block]:
    item = data.evaluation.comparison(CENTRALISED, POOLED)
    if item is None:
        return []
    words = {
        Finding.BETTER: "federated training ranked patients better than that",
        Finding.WORSE: "keeping the records apart cost that much",
        Finding.UNCLEAR: "no difference can be told",
    }[judged(item)]
    return [
        Text(
            "Beside a model that is trained on all records in one place, which no hospital "
            f"could do: AUC {with_p(item.auc)} on the patients of all hospitals; {words}."
        )
    ]


def _plots(own: dict[str, Comparison | None], pool: dict[str, Comparison | None]) -> list[Block]:
    panels = []
    titles = (
        ("forest-own", "On each hospital's own patients", own),
        ("forest-pooled", "On the patients of all hospitals", pool),
    )
    for name, title, found in titles:
        shown = {key: item for key, item in found.items() if item is not None}
        if shown:
            panels.append(forest_plot(name, title, shown))
    return [Plots(tuple(panels))] if panels else []


def _table(
    data: ReportData, own: dict[str, Comparison | None], pool: dict[str, Comparison | None]
) -> Block:
    rows = []
    for name in data.hospitals:
        for where, item in ((name, own[name]), (POOLED, pool[name])):
            rows.append(
                row(
                    name,
                    "its own patients" if where == name else "all hospitals' patients",
                    with_p(item.auc if item else None),
                    with_p(item.brier if item else None),
                    with_p(item.accuracy if item else None),
                    Cell(MARKS[judged(item)] if item else "too few to show"),
                )
            )
    columns = (
        *("hospital", "tested on", "AUC difference", "Brier difference", "accuracy difference"),
        "finding by AUC",
    )
    caption = "The federated model less each hospital's own model, 95 % intervals"
    return table("differences", caption, SIMULATED, columns, rows, words=(1, 5))
