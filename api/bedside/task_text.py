"""A prediction of a task without two labels in words, for who stands at the bedside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.bedside.text import (
    band_words,
    model_words,
    percent,
    provenance_words,
    similar_words,
    warning_words,
)
from api.figure_names import FIGURE_NAMES

_SHOWN = 5
_LEAST_SHARE = 0.01
_MOST_CLASSES = 10


def task_lines_of(tree: dict[str, Any]) -> Iterator[str]:
    """The lines of a prediction's tree; the first and the last say what it is not."""
    yield f"{tree['reference']}."
    yield ""
    yield f"study {tree['study']}: {tree['title']}"
    yield from model_words(tree)
    yield _figures(tree)
    for place, case in enumerate(tree["cases"], start=1):
        yield ""
        yield f"case {place} of {len(tree['cases'])}"
        for line in _case(tree, case):
            yield f"  {line}" if line else ""
    yield ""
    yield from provenance_words(tree)
    yield ""
    yield f"{tree['reminder']}."


def _figures(tree: dict[str, Any]) -> str:
    found, model = tree["model"]["on_own_validation_patients"], tree["model"]
    people = f"your {model['own_validation_patients']} validation patients"
    if found is None:
        return f"on {people}: too few of a group to say how good it is"
    told = [
        f"{FIGURE_NAMES[name]} {x['value']:.3g} ({x['low']:.3g}–{x['high']:.3g})"
        for name, x in found.items()
        if x is not None
    ]
    flattered = " (it was chosen on them, which flatters it)" if model["kind"] != "global" else ""
    return f"on {people}{flattered}: {'; '.join(told)}"


def _case(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    yield from warning_words(tree, case)
    yield from {"multiclass": _ranking, "regression": _amount, "survival": _risk}[tree["task"]](
        tree, case
    )
    yield ""
    yield from _explanation(tree, case)
    yield ""
    yield from similar_words(case, tree["label"])


def _ranking(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    people = tree["model"]["own_validation_patients"]
    if case["calibrated"]:
        patients = case["calibration"]["patients"]
        how = f"calibrated on {patients} validation patients of yours"
    else:
        how = f"not calibrated: your {people} validation patients are too few for it"
    yield f"{tree['label']['name']}, the likeliest first ({how})"
    for row in case["ranking"][:_MOST_CLASSES]:
        model = f"the model itself says {percent(row['model_probability'])}"
        if tree["model"]["kind"] != "global":
            model += f", the global one {percent(row['global_model_probability'])}"
        yield f"  {row['class'].ljust(24)} {percent(row['probability']).rjust(9)}  {model}"
    if len(case["ranking"]) > _MOST_CLASSES:
        rest = sum(row["probability"] for row in case["ranking"][_MOST_CLASSES:])
        more = f"{len(case['ranking']) - _MOST_CLASSES} more"
        yield f"  {more.ljust(24)} {percent(rest).rjust(9)}"
    first = case["ranking"][0]
    what = f"{tree['label']['name']} {first['class']}"
    yield band_words(case["similar_scores"], first["model_probability"], what)


def _amount(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    label, found = tree["label"], case["interval"]
    unit = "" if label["unit"] == "1" else f" {label['unit']}"
    yield f"{label['name']}: {case['amount']:.3g}{unit}"
    if found is None:
        people = tree["model"]["own_validation_patients"]
        yield f"no interval: your {people} validation patients are too few for one"
    else:
        flattered = ", on whom the model was chosen" if tree["model"]["kind"] != "global" else ""
        yield (
            f"{found['low']:.3g} to {found['high']:.3g}{unit} for {found['coverage'] * 100:.0f} % "
            f"of such patients, by the errors of your {found['patients']} validation patients"
            f"{flattered}"
        )
    if not case["plausible"]:
        yield "OUTSIDE of the study's plausible range of this amount"
    if tree["model"]["kind"] != "global":
        yield f"the global model says {case['global_model_amount']:.3g}{unit}"


def _risk(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    event = f"{tree['label']['name']} {tree['label']['values'][1]}"
    yield f"relative risk of {event}: {case['hazard_ratio']:.3g} times that of {_reference(case)}"
    yield "a ratio at any time, and no chance: the model knows no time scale"
    if tree["model"]["kind"] != "global":
        yield f"the global model says {case['global_model_hazard_ratio']:.3g} times"
    found = case["third"]
    if found is None:
        yield "your validation patients are too few to say how it went with such a risk"
        return
    where = f"your validation patients with the {found['third']} third of risks"
    few, people = found["fewer_than_5"], found["patients"]
    if few == "patients":
        yield f"of {where} there are fewer than 5"
    elif few:
        side = {"positive": "fewer than 5", "negative": "all but fewer than 5"}.get(
            few, "fewer than 5 had it and fewer than 5 had it not: too few to say how many"
        )
        yield f"of the {people} of {where} {side} were seen to have {event}"
    else:
        yield f"of the {people} of {where} {found['positive']} were seen to have {event}"


def _reference(found: dict[str, Any]) -> str:
    if found["reference_patients"]:
        return f"the average of your {found['reference_patients']} training patients"
    return "the middle of every field's range"


def _explanation(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    found = case["explanation"]
    if found is None:
        yield "no explanation: its parts would not sum to what they explain"
        return
    of = tree["label"]["name"]
    if tree["task"] == "multiclass":
        of = f"{of} {case['ranking'][0]['class']} against all others"
    yield f"compared with {_reference(found)}, in {found['unit']} of {of}:"
    least = _LEAST_SHARE * max((abs(row["part"]) for row in found["parts"]), default=0.0)
    for title, sign in (("raises it", 1), ("lowers it", -1)):
        rows = [row for row in found["parts"] if row["part"] * sign > least]
        yield title
        yield from map(_part, rows[:_SHOWN])
        if len(rows) > _SHOWN:
            rest = sum(row["part"] for row in rows[_SHOWN:])
            yield _row(f"  {len(rows) - _SHOWN} more", "", rest)
        if not rows:
            yield "  nothing"
    gap = f" within {max(abs(found['gap']), 0.0001):.4f}" if found["steps"] else ""
    yield f"{_row('together', '', found['whole'])} ({found['method']}{gap})"


def _part(row: dict[str, Any]) -> str:
    if "field" not in row:
        return _row(f"  {row['region']}", "", row["part"])
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    value = "missing" if row["imputed"] else f"{row['value']:g}{unit}"
    return _row(f"  {row['field']}", value, row["part"])


def _row(name: str, value: str, part: float) -> str:
    return f"{name.ljust(26)} {value.rjust(14)}  {part:+9.3g}"
