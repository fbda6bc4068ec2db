"""The provenance of the final model as a drawing: updates flow into the chain of global models.

Each round is a row: the hospitals' updates at the left, the global model that they gave at the
right, its parent above it. A fate is told by a word and an outline, never by colour alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from markupsafe import Markup

from api.report.data import Provenance, RoundFacts, Update
from api.report.numbers import digest
from api.report.svg import named
from federated.outcome import Fate

ROUNDS_EACH = 12
"""Rounds in one drawing, so that it fits a printed page."""

_PER_LINE = 5
_CELL, _LINE, _GAP, _LEFT, _SPINE, _STATE = 112, 44, 8, 66, 44, 150
_TOP = 50


def drawings(provenance: Provenance, spec_digest: str) -> list[tuple[str, Markup]]:
    """Drawings of up to `ROUNDS_EACH` rounds, each with its title."""
    rounds = provenance.rounds
    found = []
    for start in range(0, max(1, len(rounds)), ROUNDS_EACH):
        part = rounds[start : start + ROUNDS_EACH]
        title = "Provenance of the final model"
        if len(rounds) > ROUNDS_EACH:
            title = f"{title}: rounds {start + 1} to {start + len(part)}"
        above = (
            [("study's spec", digest(spec_digest)), ("model 0", digest(provenance.first_state))]
            if not start
            else [(f"model {start}", digest(part[0].start_state))]
        )
        drawn = _draw(part, above, provenance.final_round)
        name = f"provenance-{start // ROUNDS_EACH + 1}"
        found.append((title, named(drawn, name, title, _told(part, provenance))))
    return found


def _told(rounds: Sequence[RoundFacts], provenance: Provenance) -> str:
    """The drawing in words."""
    rows = []
    for round_ in rounds:
        used = [x.hospital + _late(x) for x in round_.updates if x.fate is Fate.INCLUDED]
        words = f"Round {round_.number}, {round_.phase}: from model {round_.parent}"
        words += f" with updates of {', '.join(used)}" if used else ", no update"
        others = [f"{x.hospital} {_word(x)}" for x in round_.updates if x.fate is not Fate.INCLUDED]
        rows.append(f"{words}{'; ' + ', '.join(others) if others else ''}.")
    final = f"The final model is that of round {provenance.final_round}."
    return " ".join([*rows, final])


def _draw(
    rounds: Sequence[RoundFacts], above: Sequence[tuple[str, str]], final_round: int
) -> Element:
    columns = min(_PER_LINE, max((len(x.updates) for x in rounds), default=1))
    spine = _LEFT + columns * (_CELL + _GAP) + _SPINE  # left edge of the models
    width = spine + _STATE + 4
    root = Element("svg", {"class": "drawing"})
    top = 4
    for words, short in above:
        _model(root, spine, top, words, short, "model")
        top += _TOP
    bottoms = {above[-1][0]: top - _TOP + 36}
    for round_ in rounds:
        top = _round(root, round_, spine, top, bottoms, final_round)
    root.set("viewBox", f"0 0 {width} {top}")
    root.set("style", f"min-width: {width * 0.8:.0f}px; max-width: {width * 1.15:.0f}px")
    return root


def _round(
    root: Element,
    round_: RoundFacts,
    spine: int,
    top: int,
    bottoms: dict[str, int],
    final_round: int,
) -> int:
    """One row; where the next begins."""
    lines = -(-len(round_.updates) // _PER_LINE)
    height = max(1, lines) * (_LINE + _GAP)
    middle = top + height / 2 - _GAP / 2
    _text(root, 0, middle + 4, f"round {round_.number}", "strong")
    for place, update in enumerate(round_.updates):
        x = _LEFT + place % _PER_LINE * (_CELL + _GAP)
        _update(root, update, x, top + place // _PER_LINE * (_LINE + _GAP))
    if any(update.fate is Fate.INCLUDED for update in round_.updates):
        _arrow(root, spine - _SPINE, middle, spine - 2, middle)
        _text(root, spine - _SPINE / 2 - 2, middle - 5, "mean", "small middle")
    word, look = _outcome(round_, final_round)
    if parent := bottoms.get(f"model {round_.parent}"):
        _arrow(root, spine + _STATE / 2, parent, spine + _STATE / 2, middle - 20)
    else:
        word += f", from model {round_.parent}"
    _model(root, spine, middle - 18, word, digest(round_.state), look)
    if round_.state:
        bottoms[f"model {round_.number}"] = int(middle + 18)
    return top + height + 14


def _outcome(round_: RoundFacts, final_round: int) -> tuple[str, str]:
    """What a round gave, and how it is outlined."""
    if not round_.state:
        return f"no model: {round_.phase}", "absent"
    if round_.contaminated:
        return f"model {round_.number}, contaminated", "voided"
    if round_.number == final_round:
        return f"final model, {round_.number}", "final"
    return f"model {round_.number}", "model"


def _update(root: Element, update: Update, x: float, y: float) -> None:
    box = {"x": str(x), "y": str(y), "width": str(_CELL), "height": str(_LINE), "rx": "4"}
    SubElement(root, "rect", box | {"class": update.fate.value})
    _text(root, x + 7, y + 14, _fitting(update.hospital, 15), "strong")
    people = f"{update.people} people{_late(update)}" if update.people else "no cohort"
    _text(root, x + 7, y + 26, people, "small")
    used = update.fate is Fate.INCLUDED
    last = digest(update.manifest) if used else _fitting(_word(update), 19)
    _text(root, x + 7, y + 38, last, "small mono" if used else "small strong")


def _late(update: Update) -> str:
    return f", {update.staleness} late" if update.staleness else ""


def _word(update: Update) -> str:
    """An update's fate in a word or two."""
    words = {
        Fate.EXCLUDED: f"left out: {update.code}",
        Fate.SUBMITTED: "sent, not used",
        Fate.FROZEN: "sent no update",
        Fate.ABSENT: "did not freeze",
        Fate.OUTSIDE: "not in the round",
    }
    return words.get(update.fate, update.fate.value)


def _fitting(text: str, most: int) -> str:
    """A name cut to its box; wide characters count twice."""
    kept, room = "", most
    for char in "".join(c if c.isprintable() else " " for c in text):
        room -= 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if room < 1 and len(kept) < len(text) - 1:
            return f"{kept}…"
        kept += char
    return kept


def _model(root: Element, x: float, y: float, words: str, short: str, look: str) -> None:
    box = {"x": str(x), "y": str(y), "width": str(_STATE), "height": "36", "rx": "18"}
    SubElement(root, "rect", box | {"class": look})
    _text(root, x + _STATE / 2, y + 15, words, "strong middle")
    _text(root, x + _STATE / 2, y + 28, short, "small mono middle")


def _text(root: Element, x: float, y: float, words: str, look: str) -> None:
    SubElement(root, "text", {"x": f"{x:g}", "y": f"{y:g}", "class": look}).text = words


def _arrow(root: Element, x: float, y: float, to_x: float, to_y: float) -> None:
    """A straight line with its head: right or down."""
    SubElement(root, "path", {"class": "arrow", "d": f"M{x:g} {y:g}L{to_x:g} {to_y:g}"})
    head = f"M{to_x - 6:g} {to_y - 4:g}l6 4l-6 4" if y == to_y else ""
    head = head or f"M{to_x - 4:g} {to_y - 6:g}l4 6l4 -6"
    SubElement(root, "path", {"class": "arrow", "d": head})
