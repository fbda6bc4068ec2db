"""Who is drawn for a round, and which late updates fit it, for `rounds.json`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any

from chain.round_types import Round
from chain.types import RoundNumber
from federated.context import update_context
from federated.drawing import draw, history
from federated.spec import Late, Sampling, StudySpec
from federated.staleness import discounted, owed

CHAIN_ID, ROUNDS, STUDY, HOSPITAL = 31337, "0x" + "d1" * 20, 7, 3
NOTHING = Round(**{field.name: 0 for field in fields(Round)})


@dataclass(frozen=True, slots=True)
class Past:
    """A round of one hospital's: the cohort that it froze (none: ""), and whether it submitted."""

    parent: int
    cohort: str = ""
    submitted: bool = False


LAPSED = (Past(0, "a", True), Past(1, "b"), Past(2), Past(3, "a"), Past(3, "a"), Past(5, "a"))
CASES = {
    "two rounds from one start, one cohort": (LAPSED, 2),
    "one model at most": ((*LAPSED[:5], Past(4, "a"), Past(6, "a")), 1),
    "three models back, another cohort": (LAPSED, 3),
    "after a round that lapsed nothing is stale": ((Past(0, "a"), Past(0, "a")), 1),
    "who submitted since is not late": ((Past(0, "a"), Past(1, "a", True), Past(2, "a")), 4),
    "a start that was gone back behind": ((Past(0), Past(1, "a"), Past(2, "a"), Past(1, "a")), 4),
}


def round_vectors(spec: StudySpec) -> dict[str, Any]:
    """Draws, what they follow from, late contexts, weights, and a spec that asks for all this."""
    asking = replace(spec, late=Late("next-round", 2), sampling=Sampling(2))
    return {
        "spec": {"bytes": asking.to_bytes(), "digest": asking.digest()},
        "draw": [_drawn(pool, hospitals, 1 + i) for i, (pool, hospitals) in enumerate(_POOLS)],
        "history": [_history(ends) for ends in _ENDS],
        "late": [_late(spec, name, *case) for name, case in CASES.items()],
        "weights": [[w, s, discounted(w, s)] for w, s in ((25, 0), (25, 1), (25, 2), (3, 16))],
    }


_POOLS = ((0b1111, 2), (0b1111, 2), (0b1011, 2), (1 << 255 | 0xFF, 5), (0b101, 3))
_ENDS = ("", "f", "fa", "faa", "fl", "fla", "a", "lfal")
"""How rounds ended, in order: finalized, aborted or lapsed."""


def _fixed(what: str) -> bytes:
    return hashlib.shake_256(f"round vector {what}".encode()).digest(32)


def _drawn(pool: int, hospitals: int, number: int) -> dict[str, Any]:
    place = {"chain_id": CHAIN_ID, "rounds": ROUNDS, "study": STUDY, "number": number, "seed": 9}
    block = _fixed(f"block {number}")
    found = draw(pool, hospitals, **place, block_hash=block)  # type: ignore[arg-type]
    asked = {"block_hash": block, "pool": hex(pool), "hospitals": hospitals}
    return place | asked | {"drawn": hex(found)}


def _history(ends: str) -> dict[str, Any]:
    rounds = [replace(NOTHING, finalized=end == "f", aborted=end == "a") for end in ends]
    number, finalized = history(rounds)
    return {"ends": list(ends), "number": number, "finalized": finalized}


def _late(spec: StudySpec, name: str, past: tuple[Past, ...], most: int) -> dict[str, Any]:
    """Of the last of these rounds: its own context, and those of others that fit, newest first."""
    last, bit = RoundNumber(len(past)), 1 << HOSPITAL
    rounds = [
        replace(NOTHING, parent=x.parent, frozen=bit * bool(x.cohort), submitted=bit * x.submitted)
        for x in past
    ]
    found = [(last, 0)]
    for number, _, staleness in owed(lambda at: rounds[at - 1], last, HOSPITAL, most):
        if past[number - 1].cohort == past[-1].cohort:
            found.append((number, staleness))
    return {
        "name": name,
        "most": most,
        "hospital": HOSPITAL,
        "rounds": [
            {"parent": x.parent, "submitted": x.submitted, "start_state": _start(x.parent)}
            | {"root": _fixed(f"root {x.cohort}") if x.cohort else b""}
            for x in past
        ],
        "fit": [
            {"round": number, "staleness": staleness}
            | {"context": _context(spec, number, past[number - 1])}
            for number, staleness in found
        ],
    }


def _start(parent: int) -> bytes:
    return _fixed(f"state {parent}")


def _context(spec: StudySpec, number: int, past: Past) -> bytes:
    return update_context(
        chain_id=CHAIN_ID,
        rounds=ROUNDS,
        study=STUDY,
        round_number=number,
        spec=spec.digest(),
        state=_start(past.parent),
        root=_fixed(f"root {past.cohort}"),
    )
