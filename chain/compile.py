"""Compiles contracts/ into contracts/artifacts: `python -m chain.compile [--check]`.

py-solc-x drives npm's solc under the Node of the set-up. `--check` needs no compiler: it verifies
that sources, settings and artifacts are the ones recorded together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain import toolchain
from chain.artifacts import ARTIFACTS, dump, verify_artifacts
from chain.errors import ArtifactsStale, ChainError, CompileFailed

SOLC = "0.8.37"
# No metadata hash: Hardhat names sources differently, and must give the same bytes.
SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "optimizer": {"enabled": True, "runs": 1000},
    "viaIR": True,
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
FOREIGN = {"AccessManager": "@openzeppelin/contracts/access/manager/AccessManager.sol"}
MAX_CODE_BYTES = 24_576  # EIP-170

_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*\sfrom\s+)?["']([^"']+)["']\s*;""", re.MULTILINE)
_OUTPUTS = [
    "abi",
    "evm.bytecode.object",
    "evm.bytecode.linkReferences",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "storageLayout",
]


def read_sources(only: Sequence[str] = ()) -> dict[str, str]:
    """Sources (all of contracts/, if none is named) and what they import, by source unit name."""
    found: dict[str, str] = {}
    paths = toolchain.CONTRACTS.rglob("*.sol")
    waiting = [path.relative_to(toolchain.ROOT).as_posix() for path in paths]
    waiting = list(only) or [*waiting, *FOREIGN.values()]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _read(name)
        waiting += [_resolve(name, target) for target in _IMPORT.findall(found[name])]
    return dict(sorted(found.items()))


def digests(sources: dict[str, str]) -> dict[str, str]:
    """sha256 of each source, by source unit name."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sources.items()}


def compile_all(sources: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Artifacts of every contract that can be deployed, by its name."""
    output = _run_solc(sources)
    ids = _variable_names(output)
    artifacts: dict[str, dict[str, Any]] = {}
    for unit, contracts in output["contracts"].items():
        for name, compiled in contracts.items():
            ours = unit.startswith("contracts/") or FOREIGN.get(name) == unit
            if (
                ours
                and compiled["evm"]["bytecode"]["object"]
                and not _is_library(output, unit, name)
            ):
                artifacts[name] = _artifact(f"{unit}:{name}", compiled, ids)
    return dict(sorted(artifacts.items()))


def build(only: Sequence[str] = ()) -> list[str]:
    """Writes contracts/artifacts anew, or those of some sources alone; returns what it compiled."""
    sources = read_sources(only)
    artifacts = compile_all(sources)
    ARTIFACTS.mkdir(exist_ok=True)
    record: dict[str, Any] = {"sources": {}, "artifacts": {}}
    if only and (ARTIFACTS / "sources.json").exists():
        record = json.loads((ARTIFACTS / "sources.json").read_bytes())
    record |= {"solc": SOLC, "settings": SETTINGS}
    record["sources"] |= digests(sources)
    for name, artifact in artifacts.items():
        data = dump(artifact)
        (ARTIFACTS / f"{name}.json").write_bytes(data)
        record["artifacts"][name] = hashlib.sha256(data).hexdigest()
    (ARTIFACTS / "sources.json").write_bytes(dump(record))
    for path in ARTIFACTS.glob("*.json"):
        if path.stem not in {"sources", *record["artifacts"]}:
            path.unlink()
    return list(artifacts)


def check() -> None:
    """Raises ArtifactsStale unless sources, settings and artifacts are those recorded."""
    record = verify_artifacts()
    if record["solc"] != SOLC or record["settings"] != SETTINGS:
        raise ArtifactsStale("artifacts were built with other settings: run `make contracts`")
    now = digests(read_sources())
    changed = sorted(
        name
        for name in now.keys() | record["sources"].keys()
        if now.get(name) != record["sources"].get(name)
    )
    if changed:
        raise ArtifactsStale(f"artifacts are older than {', '.join(changed)}: run `make contracts`")


def _read(name: str) -> str:
    base = toolchain.NODE_MODULES if name.startswith("@") else toolchain.ROOT
    path = base / name
    if not path.is_file():
        raise CompileFailed(f"no source {name} at {path}: run `make setup`, or correct the import")
    return path.read_text(encoding="utf-8")


def _resolve(importer: str, target: str) -> str:
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for step in target.split("/"):
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)


def _run_solc(sources: dict[str, str]) -> dict[str, Any]:
    # Imported here, so that --check runs where no compiler is installed.
    from solcx import compile_standard
    from solcx.exceptions import SolcError

    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": _OUTPUTS, "": ["ast"]}}},
    }
    with tempfile.TemporaryDirectory() as folder:
        try:
            output: dict[str, Any] = compile_standard(
                request, solc_binary=solc_wrapper(Path(folder))
            )
        except SolcError as exc:
            raise CompileFailed(_messages(exc)) from exc
        except ValueError as exc:
            raise CompileFailed("solc's answer is no JSON: run `make setup` again") from exc
    for problem in output.get("errors", []):
        sys.stderr.write(problem["formattedMessage"] + "\n")
    return output


def solc_wrapper(folder: Path) -> Path:
    """npm's solc prints a line that starts with >>> before its answer, which is dropped here.

    Input and output go through files: on a pipe Node fails with EAGAIN where the writer is slow,
    and drops what is unread when it exits.
    """
    wrapper = folder / "solc"
    command = shlex.join([str(toolchain.node()), str(toolchain.solc_js())])
    wrapper.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && exec {command} --version\n'
        f'cat > "$0.in"\n{command} "$@" < "$0.in" > "$0.out"\n'
        "sed '1{/^>>>/d;}' \"$0.out\"\n"
    )
    wrapper.chmod(0o700)
    return wrapper


def _messages(exc: Any) -> str:
    errors = getattr(exc, "error_dict", None) or []
    shown = [e.get("formattedMessage", "") for e in errors if e.get("severity") == "error"]
    return "solc refused the sources:\n" + ("\n".join(shown) or str(exc))


def _variable_names(output: dict[str, Any]) -> dict[str, str]:
    """State variables by AST id: solc names immutables by ids that differ between builds."""
    names: dict[str, str] = {}
    for source in output["sources"].values():
        for contract in source["ast"]["nodes"]:
            for node in contract.get("nodes", []):
                if node["nodeType"] == "VariableDeclaration":
                    names[str(node["id"])] = node["name"]
    return names


def _is_library(output: dict[str, Any], unit: str, name: str) -> bool:
    return any(
        node.get("name") == name and node.get("contractKind") == "library"
        for node in output["sources"][unit]["ast"]["nodes"]
    )


def _artifact(contract: str, compiled: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    deployed = compiled["evm"]["deployedBytecode"]
    if compiled["evm"]["bytecode"]["linkReferences"]:
        raise CompileFailed(f"{contract} needs a linked library: make its functions internal")
    size = len(deployed["object"]) // 2
    if size > MAX_CODE_BYTES:
        raise CompileFailed(f"{contract} has {size} bytes of code; at most {MAX_CODE_BYTES} run")
    references = deployed.get("immutableReferences", {})
    return {
        "contract": contract,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutableReferences": {names[key]: spots for key, spots in references.items()},
        "storageLayout": _layout(compiled["storageLayout"]),
    }


def _layout(layout: dict[str, Any]) -> list[dict[str, Any]]:
    """Slots without AST ids, which differ from build to build."""
    return [
        {"label": item["label"], "slot": item["slot"], "offset": item["offset"]}
        for item in layout["storage"]
    ]


def main() -> int:
    """Command line: 0 when artifacts were built, or are up to date with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="verify without a compiler")
    parser.add_argument("only", nargs="*", help="sources to compile, such as contracts/Rounds.sol")
    options = parser.parse_args()
    try:
        if options.check:
            check()
        else:
            sys.stdout.write(f"compiled {', '.join(build(options.only))}\n")
    except ChainError as exc:
        sys.stderr.write(f"compile: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
