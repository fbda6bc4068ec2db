"""A prediction in words, for who stands at the bedside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

_SHOWN = 5
_NO_PART = 0.005


def lines_of(tree: dict[str, Any]) -> Iterator[str]:
    """The lines of a prediction's tree; the first and the last say what it is not."""
    yield f"{tree['reference']}."
    yield ""
    yield f"study {tree['study']}: {tree['title']}"
    yield from model_words(tree)
    yield from _figures(tree)
    for place, case in enumerate(tree["cases"], start=1):
        yield ""
        yield f"case {place} of {len(tree['cases'])}"
        for line in _case(tree, case):
            yield f"  {line}" if line else ""
    yield ""
    yield from provenance_words(tree)
    yield ""
    yield f"{tree['reminder']}."


def provenance_words(tree: dict[str, Any]) -> Iterator[str]:
    """Where the model comes from."""
    yield "where the model comes from"
    for name, value in _provenance(tree):
        yield f"  {name.ljust(10)} {value}"


def model_words(tree: dict[str, Any]) -> Iterator[str]:
    """Which model answers, and why."""
    model = tree["model"]
    if model["warning"]:
        yield f"WARNING: {model['warning']}"
    elif not model["personalised"]:
        again = f"`consilium hospital personalise {tree['study']}`"
        yield f"model: the global one; {again} looks whether one of your own is better"
    else:
        what = {
            "global": "the global one, kept",
            "fine-tuned": "the global one, trained further here",
            "own head": "the global one, its last layer trained further here",
            "ditto": "this hospital's own, held near the global one",
            "own": "one of your own patients alone",
        }[model["kind"]]
        yield f"model: {what}, for {model['why']}"


def _figures(tree: dict[str, Any]) -> Iterator[str]:
    model, label = tree["model"], tree["label"]
    found, point = model["on_own_validation_patients"], percent(model["operating_point"])
    people = f"your {model['own_validation_patients']} validation patients"
    if found is None:
        yield f"at {point} on {people}: too few of a label to say how often it is right"
        return
    flattered = " (it was chosen on them, which flatters it)" if model["kind"] != "global" else ""
    yield (
        f"at {point} on {people}{flattered}: it finds {_between(found['sensitivity'])} of those "
        f"with {label['name']} {label['positive']}, and clears {_between(found['specificity'])} of "
        "the others"
    )


def _case(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    model, label = tree["model"], tree["label"]
    what = f"{label['name']} {label['positive']}"
    yield from warning_words(tree, case)
    yield f"{what}: {percent(case['probability'])}, {_calibration(model, case)}"
    if model["kind"] != "global":
        yield f"the global model, without your own training, says {percent(_common(case))}"
    point = percent(model["operating_point"])
    yield f"decision at the study's operating point, {point} by the model: {_decision(label, case)}"
    yield band_words(case["similar_scores"], case["model_probability"], what)
    yield ""
    yield from _explanation(case, tree)
    yield ""
    yield from similar_words(case, label)


def _common(case: dict[str, Any]) -> float:
    found: float = case["global_model_probability"]
    return found


def warning_words(tree: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    """What to beware of in this case."""
    people = f"your {tree['model']['own_training_patients']} training patients"
    for item in case["outside"]:
        if "field" in item:
            yield f"OUTSIDE of the training data: {item['field']} is {item['side']} all {people}"
            continue
        reach, space = case["reach"][item["distance"]], item["distance"]
        yield (
            f"OUTSIDE of the training data: farther from {people} by its {space} "
            f"({reach['nearest']:.2f}) than 99 in 100 of them from each other "
            f"({reach['limit']:.2f})"
        )
    if not case["outside"]:
        judged = all(case["reach"].values())
        yield f"within the range of {people}" if judged else f"range: {people} are too few to tell"
    if case["imputed"]:
        yield (
            f"MISSING: {', '.join(case['imputed'])}; filled by the cleaning's rule with the middle "
            "of the range, as in the records"
        )
    if case["picture"]:
        yield f"PICTURE: {case['picture']}"


def _calibration(model: dict[str, Any], case: dict[str, Any]) -> str:
    if not case["calibrated"]:
        return (
            f"not calibrated: your {model['own_validation_patients']} validation patients are too "
            "few for it, or the model does not order them"
        )
    return (
        f"calibrated on {model['calibration']['patients']} validation patients of yours (the "
        f"model itself says {percent(case['model_probability'])})"
    )


def _decision(label: dict[str, Any], case: dict[str, Any]) -> str:
    said = f"{label['name']} {case['decision']}"
    if case["positive"] != (case["probability"] >= 0.5):
        return f"{said}, while the calibrated probability lies on the other side of one half"
    return said


def band_words(found: dict[str, Any], score: float, what: str) -> str:
    """How it went with validation patients of a similar score."""
    low, high = max(0.0, score - found["within"]), min(1.0, score + found["within"])
    between = f"validation patients with a similar score ({percent(low)} to {percent(high)})"
    few, people = found["fewer_than_5"], found["patients"]
    if few == "patients":
        return f"fewer than 5 of your {between}: too few to say how it went"
    if few == "both":
        return f"of your {people} {between} fewer than 5 had {what}, and fewer than 5 had not"
    if few == "positive":
        return f"of your {people} {between} fewer than 5 had {what}"
    if few == "negative":
        return f"of your {people} {between} all but fewer than 5 had {what}"
    return f"of your {people} {between} {found['positive']} had {what}: {_between(found['share'])}"


def _explanation(case: dict[str, Any], tree: dict[str, Any]) -> Iterator[str]:
    found = case["explanation"]
    if found is None:
        yield "no explanation: its parts would not sum to what they explain"
        return
    chance = percent(1 / (1 + math.exp(-found["reference_log_odds"])))
    mean = f"the average of your {found['reference_patients']} training patients"
    of = mean if found["reference_patients"] else "the middle of every field's range"
    yield f"compared with {of}, for whom the model says {chance}:"
    for title, sign in (("speaks for", 1), ("speaks against", -1)):
        rows = [row for row in found["parts"] if row["log_odds"] * sign >= _NO_PART]
        yield f"{title} {tree['label']['name']} {tree['label']['positive']}"
        yield from map(_part, rows[:_SHOWN])
        if len(rows) > _SHOWN:
            rest = sum(row["log_odds"] for row in rows[_SHOWN:])
            yield _part({"region": f"{len(rows) - _SHOWN} more", "log_odds": rest})
        if not rows:
            yield "  nothing"
    whole = found["log_odds"] - found["reference_log_odds"]
    gap = f" within {max(abs(found['gap']), 0.0001):.4f}" if found["steps"] else ""
    yield f"{_row('together', '', whole)} ({found['method']}{gap})"


def _part(row: dict[str, Any]) -> str:
    if "field" not in row:
        return _row(f"  {row['region']}", "", row["log_odds"])
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    value = "missing" if row["imputed"] else f"{row['value']:g}{unit}"
    return _row(f"  {row['field']}", value, row["log_odds"])


def _row(name: str, value: str, log_odds: float) -> str:
    return f"{name.ljust(26)} {value.rjust(14)}  {log_odds:+7.2f}  odds × {math.exp(log_odds):.3g}"


def similar_words(case: dict[str, Any], label: dict[str, Any]) -> Iterator[str]:
    """The nearest patients of the hospital."""
    if not case["similar"]:
        yield "no similar past case: no patient of yours consents now"
        return
    reach = list(case["reach"].values())[-1]
    usual = f"; half of your patients have one within {reach['usual']:.2f}" if reach else ""
    yield f"most similar past cases of yours whose consent is active (distance{usual})"
    for item in case["similar"]:
        yield f"  {item['patient'].ljust(24)} {label['name']} {item['label']}".ljust(60) + (
            f"{item['distance']:.2f}"
        )


def _provenance(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = tree["provenance"]
    yield "chain", f"{found['chain']}, Rounds {found['rounds']}"
    yield "study", f"{found['study']}, round {found['round']} of {found['of_rounds']}"
    yield "state", found["state"]
    yield "manifest", found["manifest"]
    yield "spec", found["spec"]
    yield "hospitals", ", ".join(item["name"] or item["address"] for item in found["hospitals"])
    if found["contaminated"]:
        rounds = ", ".join(map(str, found["voided_rounds"]))
        yield "WARNING", f"contaminated: an update of round {rounds} was proven false afterwards"
    else:
        yield "voided", "no update that it descends from was proven false"
    if personal := found["personal"]:
        people = f"{personal['training_patients']} of your patients"
        judges = f"{personal['validation_patients']} others"
        alone = "; of the model above nothing is in it" if personal["kept"] == "own" else ""
        yield "personal", f"{personal['kept']}; {people} trained, {judges} judged{alone}"
    for item in found["attestations"]:
        about = f"round {item['round']}" if item["round"] else "the whole study"
        name = item["name"] or item["auditor"]
        yield "audit", f"{name} on {about}: {item['verdict']} ({item['level']}), {item['report']}"
    if not found["attestations"]:
        yield "audit", "no auditor has recorded a verdict"


def percent(share: float) -> str:
    """Whole percents; never 0 or 100, which no model knows."""
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if share > 0.99 else f"{share * 100:.0f} %"


def _between(figure: dict[str, float]) -> str:
    low, high = round(figure["low"] * 100), round(figure["high"] * 100)
    return f"{figure['value'] * 100:.0f} % ({low}–{high} %)"
