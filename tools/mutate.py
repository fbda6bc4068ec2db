"""Negate the conditions of the contracts one by one: a test must fail for each.

    python tools/mutate.py                        every `if` of Consents, Rounds, Challenges, Escrow
    python tools/mutate.py --count 3 --seed 7     three of them, chosen by the seed
    python tools/mutate.py --contract Escrow

A copy of the checkout is changed, never the checkout itself. The mutant is compiled without the IR,
which is faster and does the same. Exit status 1 where a mutant lives.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Whose conditions are negated, and which tests are asked, those first that fail soonest.
JUDGES = {
    "Consents": ("test_consents", "test_amending", "test_escrow"),
    "Rounds": ("test_rounds", "test_masked_rounds", "test_drawn_rounds", "test_hospital_shares"),
    "Challenges": ("test_challenges", "test_demands", "test_masked_rounds"),
    "Escrow": ("test_escrow", "test_hospital_shares", "test_demands", "test_studies"),
}
FOLDERS = (
    "api",
    "bench",
    "chain",
    "contracts",
    "federated",
    "records",
    "storage",
    "tests",
    "tools",
)
BORROWED = (".venv", "node_modules")
COMPILE = (
    "import sys; from chain import compile as c; c.SETTINGS['viaIR'] = False; c.build(sys.argv[1:])"
)


@dataclass(frozen=True)
class Mutant:
    """A condition of a contract, by where it stands between its parentheses."""

    contract: str
    line: int
    start: int
    end: int

    def source(self, text: str) -> str:
        """The contract with the condition negated."""
        condition = text[self.start : self.end]
        return f"{text[: self.start]}!({condition}){text[self.end :]}"


def mutants(contract: str, text: str) -> Iterator[Mutant]:
    """Every condition of an `if`, in order."""
    at = text.find("if (")
    while at != -1:
        start = at + len("if (")
        end, depth = start, 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield Mutant(contract, text.count("\n", 0, at) + 1, start, end - 1)
        at = text.find("if (", start)


def lives(mutant: Mutant, copy: Path) -> bool:
    """Whether every test of its contract passes with the mutant in place."""
    path = copy / "contracts" / f"{mutant.contract}.sol"
    sound = path.read_text("utf-8")
    try:
        path.write_text(mutant.source(sound), "utf-8")
        unit = path.relative_to(copy).as_posix()
        if _run(copy, "-c", COMPILE, unit) != 0:
            raise SystemExit(f"mutate: {mutant.contract}:{mutant.line} does not compile: see above")
        tests = [f"tests/contracts/{name}.py" for name in JUDGES[mutant.contract]]
        return _run(copy, "-m", "pytest", "-q", "-x", "-m", "not slow", *tests) == 0
    finally:
        path.write_text(sound, "utf-8")


def main(arguments: Sequence[str]) -> int:
    """Runs the program; the number of mutants that live decides its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contract", choices=JUDGES, action="append")
    parser.add_argument("--count", type=int, help="so many, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    chosen = [
        mutant
        for contract in options.contract or JUDGES
        for mutant in mutants(contract, (ROOT / f"contracts/{contract}.sol").read_text("utf-8"))
    ]
    if options.count is not None:
        picker = random.Random(options.seed)  # noqa: S311 - which tests to run is no secret
        chosen = picker.sample(chosen, min(options.count, len(chosen)))
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = _copied(Path(folder))
        living = [mutant for mutant in chosen if _judged(mutant, copy)]
    print(f"mutate: {len(chosen) - len(living)} of {len(chosen)} mutants were found out")
    return int(bool(living))


def _judged(mutant: Mutant, copy: Path) -> bool:
    found = lives(mutant, copy)
    word = "LIVES" if found else "was found out"
    print(f"mutate: {mutant.contract}.sol:{mutant.line} negated {word}", flush=True)
    return found


def _copied(folder: Path) -> Path:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in BORROWED:
        (folder / name).symlink_to(ROOT / name)
    # Everything once without the IR: the settings of all artifacts must be the same.
    if _run(folder, "-c", COMPILE) != 0:
        raise SystemExit("mutate: the contracts do not compile: run `make contracts`")
    return folder


def _run(folder: Path, *arguments: str) -> int:
    log = folder / "mutate.log"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with log.open("w") as output:
        done = subprocess.run(
            [str(ROOT / ".venv" / "bin" / "python"), *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode not in (0, 1):
        sys.stderr.write(log.read_text("utf-8")[-2_000:])
        raise SystemExit(f"mutate: {' '.join(arguments[:3])} ended with {done.returncode}")
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
