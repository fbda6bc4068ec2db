"""Which statements of the contracts the tests run, and which sides of each condition.

    python tools/coverage.py            every test of tests/contracts; 100 % is asked for
    python tools/coverage.py --list     names also what is run, by its place
    python tools/coverage.py --only Attestations tests/contracts/test_attestations.py

Each statement of a block, and each side of a condition, calls an address where nothing is; the
tests' node is asked for the trace of every transaction and call, and the trace says what was run.
Exit status 1 where anything was not.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
sys.path[0] = str(ROOT)
sys.path.append(str(ROOT / "tools"))

import conditions  # noqa: E402
import coverage_tests  # noqa: E402

from chain import compile as compiler  # noqa: E402
from chain.artifacts import Artifact  # noqa: E402
from chain.deploy import WIRING  # noqa: E402

CONTRACTS = sorted(set(WIRING) - {"AccessManager"})
# What no call can reach, each with its reason.
UNREACHABLE: dict[str, str] = {
    "contracts/Rounds.sol holds: threshold > header.minHospitals": "Studies opens no such study",
    "contracts/Rounds.sol holds: header.flags & CLOSED != 0": "who froze and is not barred has "
    "submitted before it is closed, or submitBy is past, which is asked first",
}
_HELPERS = f"""
function hit_(uint256 spot) view {{
    assembly ("memory-safe") {{
        mstore(0x00, spot)
        pop(staticcall(gas(), {coverage_tests.NOBODY}, 0x00, 0x20, 0x00, 0x00))
    }}
}}

function side_(bool holds, uint256 spot) view returns (bool) {{
    hit_(holds ? spot : spot + 1);
    return holds;
}}
"""


@dataclass(frozen=True)
class Spot:
    """Something that a test should run: a statement, or a side of a condition, by `kind`."""

    number: int
    source: str
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        """As UNREACHABLE calls it: lines move."""
        return f"{self.source} {self.kind}: {self.text}"

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.kind}: {self.text}"


def main(arguments: Sequence[str]) -> int:
    """Runs the program; exit status 1 where a spot was not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="name what is run, too")
    parser.add_argument("--only", choices=CONTRACTS, help="one contract, without its libraries")
    parser.add_argument("tests", nargs="*", help="some of tests/contracts alone")
    options = parser.parse_args(arguments)
    every, code = instrumented([options.only] if options.only else CONTRACTS)
    run = coverage_tests.hits(code, options.tests)
    wrong = [one for one in every if one.name in UNREACHABLE and one.number in run]
    if wrong:
        raise SystemExit(f"coverage: a test reaches what UNREACHABLE names: {wrong[0]}")
    spots = [one for one in every if one.name not in UNREACHABLE]
    missed = [one for one in spots if one.number not in run]
    for one in spots if options.list else missed:
        print(f"coverage: {'' if one.number in run else 'NOT RUN '}{one}")
    for source in sorted({one.source for one in spots}):
        print(f"coverage: {source}: {_share(spots, run, source)}")
    print(f"coverage: all: {_share(spots, run, '')}")
    print(f"coverage: {len(every) - len(spots)} that no call can reach")
    return int(bool(missed))


def instrumented(names: Sequence[str]) -> tuple[list[Spot], dict[str, Artifact]]:
    """Spots of these contracts (of all: of the libraries too), and code that tells of them."""
    units = {name: conditions.unit(name) for name in names}
    sources = compiler.read_sources(list(units.values()))
    trees = conditions.ask(sources, {"*": {"": ["ast"]}})["sources"]
    spots: list[Spot] = []
    told = set(units.values()) if len(names) < len(CONTRACTS) else set(sources)
    for unit in [name for name in sources if name.startswith("contracts/")]:
        # What tells of itself is a view; the word is as long.
        text = re.sub(r"\bpure\b", "view", sources[unit])
        marks = _marked(unit, text.encode(), trees[unit]["ast"], spots) if unit in told else ()
        edits = list(marks)
        sources[unit] = conditions.edited(text, edits) + (_HELPERS if edits else "")
    asked = {unit: {"": ["ast"], name: conditions.CODE} for name, unit in units.items()}
    answer = conditions.ask(sources, {"*": {"": ["ast"]}, **asked})
    return spots, {name: conditions.artifact(answer, unit, name) for name, unit in units.items()}


def _marked(
    unit: str, raw: bytes, tree: dict[str, Any], spots: list[Spot]
) -> Iterator[tuple[int, int, str]]:
    """Edits of the source that tell of its spots, which are added to the list."""
    for function in conditions.walk(tree):
        # Who deploys runs the constructor.
        written = function.get("nodeType") in ("FunctionDefinition", "ModifierDefinition")
        if not written or function.get("kind") == "constructor":
            continue
        for node in conditions.walk(function):
            if node.get("nodeType") in ("Block", "UncheckedBlock"):
                for statement in node["statements"]:
                    start, end = conditions.place(statement)
                    spots.append(_spot(len(spots), unit, raw, start, end, "statement"))
                    yield start, 1, f"hit_({len(spots) - 1}); "
            for part in _judged(node):
                start, end = conditions.place(part)
                for kind in ("holds", "does not hold"):
                    spots.append(_spot(len(spots), unit, raw, start, end, kind))
                yield from conditions.around(start, end, "side_(", f", {len(spots) - 2})")


def _judged(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The conditions of a node: of an `if`, a `?`, a loop; the sides of && and ||."""
    kind = node.get("nodeType")
    if kind == "BinaryOperation" and node["operator"] in ("&&", "||"):
        sides = (node["leftExpression"], node["rightExpression"])
        return [side for side in sides if side.get("operator") != node["operator"]]
    if kind in ("IfStatement", "Conditional", "ForStatement", "WhileStatement"):
        return [node["condition"]]
    return []


def _spot(number: int, unit: str, raw: bytes, start: int, end: int, kind: str) -> Spot:
    text = " ".join(raw[start:end].decode().split())
    return Spot(number, unit, raw.count(b"\n", 0, start) + 1, kind, text[:90])


def _share(spots: Sequence[Spot], run: set[int], source: str) -> str:
    parts = []
    for name, statements in (("statements", True), ("sides of conditions", False)):
        of = [
            one
            for one in spots
            if one.source.startswith(source) and (one.kind == "statement") == statements
        ]
        found = sum(one.number in run for one in of)
        parts.append(f"{found} of {len(of)} {name}")
    return ", ".join(parts)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
