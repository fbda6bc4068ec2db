"""Every condition of a contract, as the compiler's own tree has it, and the contract with switches.

A condition of `if` or `?` is negated, and never holds; a side of && or || is dropped. All of it is
compiled once: each condition asks one word of storage whether, and how, it is to err.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain import compile as compiler
from chain.artifacts import Artifact

CONTRACTS = ("Consents", "Rounds", "Challenges", "Escrow")
# Where a contract with switches looks which of them is thrown.
SWITCH = 2**255 - 19

_REFUSAL = re.compile(r"(?:revert |Skip\.|Ground\.)(?:\w+\.)?(\w+)")
CODE = ["abi", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
_HOW = {"negated": 0, "never": 1, "without ||": 1, "without &&": 2}
_HELPER = f"""
    function mutated_(bool holds, uint256 number) private view returns (bool) {{
        uint256 thrown;
        assembly ("memory-safe") {{ thrown := sload({SWITCH}) }}
        if (thrown < number || thrown > number + 2) return holds;
        return thrown == number ? !holds : thrown == number + 2;
    }}
}}
"""


@dataclass(frozen=True)
class Mutant:
    """A change to a condition, by its bytes in the source.

    `key` names it for people and stays as it is while other functions change; `switch` throws it in
    the contract with switches; `hint` is the error or reason behind it, empty where none is.
    """

    contract: str
    key: str
    line: int
    switch: int
    hint: str


@dataclass(frozen=True)
class _Condition:
    function: str
    start: int
    end: int
    changes: tuple[str, ...]
    hint: str


def unit(contract: str) -> str:
    """The name under which the compiler knows a contract's source."""
    return f"contracts/{contract}.sol"


def mutants(contracts: Sequence[str] = CONTRACTS) -> list[Mutant]:
    """Each change to each condition of these contracts, in order."""
    sources = compiler.read_sources([unit(name) for name in contracts])
    return [
        mutant
        for name, places in _conditions(contracts, sources).items()
        for mutant in _named(name, sources[unit(name)].encode(), places)
    ]


def compiled(contract: str) -> Artifact:
    """The contract with a switch at each condition; with none thrown it is the sound one."""
    sources = compiler.read_sources([unit(contract)])
    places = [(one.start, one.end) for one in _conditions([contract], sources)[contract]]
    sources[unit(contract)] = switched(sources[unit(contract)], places)
    answer = ask(sources, {"*": {"": ["ast"]}, unit(contract): {"": ["ast"], contract: CODE}})
    return artifact(answer, unit(contract), contract)


def switched(text: str, places: Sequence[tuple[int, int]]) -> str:
    """The source with its n-th condition asking for the switches 3n + 1 to 3n + 3."""
    # A switch reads storage: what is pure becomes a view, a word as long.
    edits = [
        edit
        for number, (start, end) in enumerate(places)
        for edit in around(start, end, "mutated_(", f", {3 * number + 1})")
    ]
    done = edited(text.replace("private pure", "private view"), edits)
    return done[: done.rindex("}")] + _HELPER


def around(start: int, end: int, before: str, after: str) -> Iterator[tuple[int, int, str]]:
    """Edits that put words around a part: what ends is closed before anything opens."""
    yield start, (1 << 40) - end, before
    yield end, -start - 1, after


def edited(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """The source with words put in: (at which byte, in which order there, what)."""
    raw, done, at = text.encode(), "", 0
    for position, _, word in sorted(edits):
        done += raw[at:position].decode() + word
        at = position
    return done + raw[at:].decode()


def _conditions(contracts: Sequence[str], sources: dict[str, str]) -> dict[str, list[_Condition]]:
    trees = ask(sources, {"*": {"": ["ast"]}})["sources"]
    return {
        name: list(_found(sources[unit(name)].encode(), trees[unit(name)]["ast"]))
        for name in contracts
    }


def _named(contract: str, raw: bytes, found: Sequence[_Condition]) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    for number, one in enumerate(found):
        words = " ".join(raw[one.start : one.end].decode().split())
        for change in one.changes:
            key = f"{contract}.{one.function} {change}: {words}"
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                key += f" ({seen[key]})"
            line = raw.count(b"\n", 0, one.start) + 1
            yield Mutant(contract, key, line, 3 * number + 1 + _HOW[change], one.hint)


def _found(raw: bytes, tree: dict[str, Any]) -> Iterator[_Condition]:
    for function in walk(tree):
        if function.get("nodeType") not in ("FunctionDefinition", "ModifierDefinition"):
            continue
        for node in walk(function):
            kind, hint = node.get("nodeType"), ""
            if kind == "IfStatement":
                start, end = place(node["trueBody"])
                told = _REFUSAL.search(raw[start:end].decode())
                hint = told.group(1) if told else ""
            if kind in ("IfStatement", "Conditional"):
                yield _Condition(
                    function["name"], *place(node["condition"]), ("negated", "never"), hint
                )
            if kind == "BinaryOperation" and node["operator"] in ("&&", "||"):
                for side in (node["leftExpression"], node["rightExpression"]):
                    # a && b && c: each is dropped by itself, which is more than dropping a && b.
                    if side.get("operator") != node["operator"]:
                        change = f"without {node['operator']}"
                        yield _Condition(function["name"], *place(side), (change,), hint)


def artifact(answer: dict[str, Any], source: str, name: str) -> Artifact:
    """A contract of the compiler's answer, which has the trees of all sources too."""
    built = answer["contracts"][source][name]
    deployed = built["evm"]["deployedBytecode"]
    names = {
        str(node["id"]): node["name"]
        for tree in answer["sources"].values()
        for node in walk(tree["ast"])
        if node.get("mutability") == "immutable"
    }
    return Artifact(
        name=name,
        source=source,
        abi=tuple(built["abi"]),
        creation=b"",
        runtime=bytes.fromhex(deployed["object"]),
        immutables={
            names[key]: tuple((spot["start"], spot["length"]) for spot in spots)
            for key, spots in deployed["immutableReferences"].items()
        },
    )


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Each node of a tree, parents first."""
    if isinstance(node, dict):
        yield node
        for part in node.values():
            yield from walk(part)
    elif isinstance(node, list):
        for part in node:
            yield from walk(part)


def place(node: dict[str, Any]) -> tuple[int, int]:
    """Where a node begins and ends in its source, in bytes."""
    start, length, _ = (int(part) for part in node["src"].split(":"))
    return start, start + length


def ask(sources: dict[str, str], selection: dict[str, Any]) -> dict[str, Any]:
    """solc's answer for these sources. Raises SystemExit with what it says against them."""
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**compiler.SETTINGS, "outputSelection": selection},
    }
    with tempfile.TemporaryDirectory() as folder:
        solc = compiler.solc_wrapper(Path(folder))
        done = subprocess.run(
            [str(solc), "--standard-json"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    errors = [one for one in answer.get("errors", []) if one["severity"] == "error"]
    if errors:
        raise SystemExit("mutate: " + "\n".join(one["formattedMessage"] for one in errors))
    return answer
