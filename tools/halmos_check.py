"""Halmos over tests/symbolic: what holds for every value, not for those that a fuzzer drew.

    python tools/halmos_check.py                     every proof
    python tools/halmos_check.py ConsentSlotsProof   those of one contract

The contracts are compiled as they are deployed, by the same compiler with the same settings. A
proof fails where there is a counterexample, where the solver gave none and no answer either, and
where a loop was not followed to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
sys.path[0] = str(ROOT)
sys.path.append(str(ROOT / "tools"))

import own_environment  # noqa: E402

from chain import compile as compiler  # noqa: E402

PROOFS = ROOT / "tests" / "symbolic"
# More steps of a loop than any proof takes: one that needs more fails.
LOOP = 16
ANSWERS = {0: "holds", 1: "is REFUTED", 2: "is not decided: the solver ran out of time"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one proof: `holds`, and in words what else."""

    name: str
    holds: bool
    words: str
    seconds: float


def contracts() -> list[str]:
    """Names of the contracts that hold proofs: each is alone in a file of its name."""
    return sorted(path.stem for path in PROOFS.glob("*Proof.sol"))


def sources_of(names: Sequence[str]) -> dict[str, str]:
    """Sources of these contracts and of all that they import, by source unit name."""
    return compiler.read_sources([f"tests/symbolic/{name}.sol" for name in names])


def prove(sources: Mapping[str, str], names: Sequence[str], timeout_s: int = 60) -> list[Outcome]:
    """Runs the proofs of these contracts over these sources; `timeout_s` bounds each question to
    the solver. Raises SystemExit where nothing could be run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for unit, contract, built in _compiled(folder, sources):
            place = folder / "out" / Path(unit).name
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{contract}.json").write_text(json.dumps(built), "utf-8")
        return [
            one
            for contract in names
            for one in with_lacking(
                contract,
                sources[f"tests/symbolic/{contract}.sol"],
                _halmos(folder, contract, timeout_s),
            )
        ]


def with_lacking(contract: str, source: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """These outcomes, and of each proof in the contract's source that has none, that it does not
    hold: Halmos says nothing of a function that it does not take for a proof."""
    written = [f"{contract}.{name}" for name in re.findall(r"\bfunction\s+(check_\w+)", source)]
    words = "was not run: Halmos found no such proof"
    lacking = sorted(set(written or [contract]) - {one.name for one in outcomes})
    return [*outcomes, *(Outcome(name, False, words, 0.0) for name in lacking)]


def main(arguments: Sequence[str]) -> int:
    """Prints one line a proof; exit status 1 where one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[[], *contracts()], help="contracts of proofs")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for each question")
    options = parser.parse_args(arguments)
    names = options.only or contracts()
    outcomes = prove(sources_of(names), names, options.timeout)
    for one in outcomes:
        print(f"halmos: {one.name} {one.words} ({one.seconds:.1f} s)")
    failed = sum(not one.holds for one in outcomes)
    print(f"halmos: {len(outcomes) - failed} of {len(outcomes)} proofs hold")
    return int(failed > 0 or not outcomes)


def _compiled(
    folder: Path, sources: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(unit, contract, what Halmos reads of it): the files that `forge build` would write."""
    from solcx import compile_standard
    from solcx.exceptions import SolcError

    outputs = ["abi", "metadata", "storageLayout", "evm.bytecode", "evm.deployedBytecode"]
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {
            **compiler.SETTINGS,
            "outputSelection": {"*": {"*": [*outputs, "evm.methodIdentifiers"], "": ["ast"]}},
        },
    }
    try:
        answer = compile_standard(request, solc_binary=compiler.solc_wrapper(folder))
    except SolcError as exc:
        raise SystemExit(f"halmos: solc refused the proofs: {exc}") from exc
    for unit, found in answer["contracts"].items():
        for contract, built in found.items():
            evm = built.pop("evm")
            for code in ("bytecode", "deployedBytecode"):
                evm[code]["object"] = "0x" + evm[code]["object"]
            metadata = json.loads(built.pop("metadata"))
            source = answer["sources"][unit]
            more = {"metadata": metadata, "ast": source["ast"], "id": source["id"]}
            yield unit, contract, {**built, **evm, **more}


def _halmos(folder: Path, contract: str, timeout_s: int) -> list[Outcome]:
    program = own_environment.program("halmos")
    # It asks forge to build first: all is built here already. Its solver stands beside it.
    forge = folder / "bin" / "forge"
    forge.parent.mkdir(exist_ok=True)
    forge.write_text("#!/bin/sh\nexit 0\n")
    forge.chmod(0o700)
    path = os.pathsep.join([str(forge.parent), str(program.parent), os.environ["PATH"]])
    told = folder / f"{contract}.told.json"
    command: list[str | Path] = [program, "--root", folder, "--contract", contract]
    command += ["--json-output", told, "--no-status", "--panic-error-codes", "*"]
    command += ["--solver-command", program.with_name("yices-smt2")]
    command += ["--loop", str(LOOP), "--solver-timeout-assertion", f"{timeout_s}s"]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if not told.exists():
        raise SystemExit(f"halmos: gave no answer about {contract}: {done.stdout}{done.stderr}")
    results = json.loads(told.read_text("utf-8"))["test_results"]
    return [_outcome(contract, one) for found in results.values() for one in found]


def _outcome(contract: str, result: Mapping[str, Any]) -> Outcome:
    code, loops = int(result["exitcode"]), result["num_bounded_loops"] or 0
    words = ANSWERS.get(code, f"ended with Halmos's exit code {code}")
    if code == 0 and loops:
        words = f"is not decided: {loops} loops go on beyond {LOOP} steps"
    name = f"{contract}.{result['name'].split('(')[0]}"
    return Outcome(name, code == 0 and not loops, words, float(result["time"][0]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
