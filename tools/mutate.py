"""Negate the conditions of the contracts one by one: a test must fail for each.

    python tools/mutate.py                     all of Consents, Rounds, Challenges, Escrow
    python tools/mutate.py --count 3 --seed 7  three, chosen by the seed
    python tools/mutate.py --only Escrow.fund  those whose names begin so
    python tools/mutate.py --write             … and notes in tests/contracts/mutants.json who knew

Conditions are those of `if` and of `?`, negated and never true, and each side of && and ||, which
is dropped. The test that found a mutant out before is asked first, then those that name the error
behind the condition. Exit status 1 where a mutant lives.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
sys.path[0] = str(ROOT)
sys.path.append(str(ROOT / "tools"))

import conditions  # noqa: E402
from conditions import Mutant  # noqa: E402
from mutant_tests import Judge  # noqa: E402

RECORD = ROOT / "tests" / "contracts" / "mutants.json"

# Negated, these change nothing that anybody could see; each with its reason.
EQUIVALENT: dict[str, str] = {
    "Challenges.demand negated: byAuditor": "two counts, one bound: whose is which shows nowhere",
    "Rounds._bar never: !live.enrolled.has(index)": "whose seat is in no round is never asked",
    "Rounds._bar never: live.cohorts[index] != 0": "a shortcut: without a cohort the study's own "
    "word says who is barred",
    "Rounds._pays without ||: header.flags & REACHED != 0": "a shortcut: asked again within",
    "Rounds._unsubmitted without &&: cohort_ == 0": "a shortcut: who froze is in the round",
    "Rounds._lapse never: reached": "a shortcut: a void asks again before it takes one away",
    "Rounds._maySubmit without ||: header.flags & CLOSED != 0": "who froze and is not barred has "
    "submitted before it is closed, or submitBy is past, which is asked first",
    "Rounds.closeSubmit never: threshold > header.minHospitals": "Studies opens no such study",
    "Consents._closeBatch never: batch.people == 0": "a shortcut: nobody is added and no money",
    "Consents._revoke without &&: slot.isEmpty()": "a shortcut: what stands under a nonce stands "
    "there since the one before was revoked",
    "Consents.pay never: nonce == 0": "a shortcut: the id of nonce 0 is the id that was given",
    "Consents.pay never: nonce == 0 (2)": "a shortcut: the slot of nonce 0 was read already",
}


def main(arguments: Sequence[str]) -> int:
    """Runs the program; the number of mutants that live decides its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="names that begin so")
    parser.add_argument("--count", type=int, help="so many, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="2/3: the second of three equal parts")
    parser.add_argument("--write", action="store_true", help="note the tests that found them out")
    parser.add_argument("--new", action="store_true", help="only those with no test noted yet")
    options = parser.parse_args(arguments)
    known = recorded()
    chosen = list(choose(conditions.mutants(), known, options))
    living = []

    def told(mutant: Mutant, found: str | None) -> None:
        word = f"was found out by {found}" if found else "LIVES"
        print(f"mutate: line {mutant.line}, {mutant.key}: {word}", flush=True)
        if found is None:
            living.append(mutant)
        elif options.write:
            note(mutant, found)

    Judge(chosen, known, told).asks()
    print(f"mutate: {len(chosen) - len(living)} of {len(chosen)} mutants were found out")
    return int(bool(living))


def recorded() -> dict[str, str]:
    """The test that found each mutant out, by the mutant's name."""
    return dict(json.loads(RECORD.read_text("utf-8"))) if RECORD.exists() else {}


def choose(every: Sequence[Mutant], known: Mapping[str, str], options: Any) -> Iterator[Mutant]:
    """The mutants that the command line asks for."""
    part, parts = (int(word) for word in options.part.split("/"))
    chosen = [one for one in every if one.key not in EQUIVALENT]
    if options.only:
        chosen = [one for one in chosen if one.key.startswith(tuple(options.only))]
    if options.new:
        chosen = [one for one in chosen if one.key not in known]
    if options.count is not None and options.count < len(chosen):
        picked = random.Random(options.seed).sample(chosen, options.count)  # noqa: S311
        chosen = [one for one in chosen if one in picked]
    size = -(-len(chosen) // parts)
    yield from chosen[(part - 1) * size : part * size]


def note(mutant: Mutant, test: str) -> None:
    """Writes down who found a mutant out; several runs may do so at once."""
    beside = RECORD.with_suffix(f".{os.getpid()}")
    with (ROOT / "tools" / "mutate.py").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = dict(sorted({**recorded(), mutant.key: test}.items()))
        beside.write_text(json.dumps(noted, indent=2, ensure_ascii=False) + "\n", "utf-8")
        beside.replace(RECORD)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
