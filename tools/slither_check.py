"""Slither over the contracts: a finding without a reason in the table below fails.

    python tools/slither_check.py

It has an environment of its own (tools/slither/requirements.lock), built once in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
sys.path[0] = str(ROOT)

from chain import compile as compiler  # noqa: E402
from chain import toolchain  # noqa: E402
from storage.toolchain import engines_folder  # noqa: E402

LOCK = Path(__file__).with_name("slither") / "requirements.lock"
UV = ROOT / ".venv" / "bin" / "uv"

# (detector, where): why it is no fault. Where "*" stands, the reason holds wherever it is found.
REASONS = {
    ("timestamp", "*"): "deadlines are a block's seconds, and phases are longer than its freedom",
    ("shadowing-local", "*"): "parameters of an interface, which has no bodies to confuse",
    (
        "unused-return",
        "*",
    ): "parts that nothing here needs; a failed recovery gives key 0",
    ("missing-zero-check", "Agreements.constructor"): "deploy.py predicts and verifies the wiring",
    ("missing-zero-check", "Rounds.constructor"): "deploy.py predicts and verifies the wiring",
    ("calls-loop", "Consents.revokeBatch"): "our own contract, once for each agreement in a row",
    ("calls-loop", "Consents.revokeByHospital"): "our own contract; the caller pays for its list",
    ("uninitialized-local", "Consents.hashGrant"): "a struct that _readTier fills",
    (
        "uninitialized-state",
        "Escrow._roots",
    ): "a mapping, which postRewardRoot writes by a pointer",
    ("arbitrary-send-erc20", "Escrow._pull"): "from is the sender, or whom our own contracts name",
    ("reentrancy-benign", "*"): "calls our own contracts, which call none but the study's token",
    ("reentrancy-events", "*"): "calls our own contracts, which call none but the study's token",
    ("reentrancy-no-eth", "*"): "behind nonReentrant; the calls before are to our own contracts",
}


def slither() -> Path:
    """The program; its environment is built first where it is not there yet."""
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = engines_folder() / f"slither-{name}"
    program = folder / "bin" / "slither"
    if not program.exists():
        sys.stderr.write("slither: builds its environment, once\n")
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            _run(UV, "venv", "--quiet", "--relocatable", "--python", sys.executable, beside)
            at = ("--python", beside / "bin" / "python")
            _run(UV, "pip", "install", "--quiet", "--require-hashes", *at, "-r", LOCK)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return program


def findings() -> list[tuple[str, str]]:
    """(detector, contract.member) of all that Slither finds in contracts/, but for dev/."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = compiler.read_sources()
        for unit, text in sources.items():
            path = folder / unit
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        (folder / "input.json").write_text(json.dumps(_request(sources)), "utf-8")
        found = folder / "found.json"
        command: list[str | Path] = [
            slither(),
            "input.json",
            "--compile-force-framework",
            "solc-json",
        ]
        command += ["--solc", _solc(folder), "--filter-paths", "@openzeppelin|contracts/dev"]
        command += ["--exclude-informational", "--exclude-optimization", "--json", found]
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not found.exists():
            raise SystemExit("slither: gave no answer: run `make setup`, then try again")
        answer = json.loads(found.read_text("utf-8"))
    if not answer["success"]:
        raise SystemExit(f"slither: {answer['error']}")
    return [_place(one) for one in answer["results"].get("detectors", [])]


def main() -> int:
    """Prints what is not explained; exit status 1 where there is any."""
    found = findings()
    explained = [(check, at) in REASONS or (check, "*") in REASONS for check, at in found]
    for (check, at), known in zip(found, explained, strict=True):
        if not known:
            print(f"slither: {at}: {check}: mend it, or say in tools/slither_check.py why not")
    checks = {check for check, _ in found}
    stale = {
        (check, at)
        for check, at in REASONS
        if (check not in checks if at == "*" else (check, at) not in found)
    }
    for check, at in sorted(stale):
        print(f"slither: {at}: {check} is found no more: take its reason away")
    print(f"slither: {len(found)} findings, {explained.count(False)} of them unexplained")
    return int(not all(explained) or bool(stale))


def _place(finding: dict[str, Any]) -> tuple[str, str]:
    names: list[str] = []
    element = finding["elements"][0]
    while element and element.get("name"):
        if element["type"] in ("contract", "function", "variable") or not names:
            names.append(element["name"])
        element = element.get("type_specific_fields", {}).get("parent")
    # A local variable or a parameter is named by its function.
    return finding["check"], ".".join(names[::-1][:2])


def _request(sources: dict[str, str]) -> dict[str, Any]:
    outputs = ["abi", "devdoc", "userdoc", "evm.bytecode", "evm.deployedBytecode"]
    return {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {
            "evmVersion": compiler.SETTINGS["evmVersion"],
            "outputSelection": {"*": {"*": outputs, "": ["ast"]}},
        },
    }


def _solc(folder: Path) -> Path:
    """npm's solc, which knows no --allow-paths and prints a line before its answer."""
    solc = f"'{toolchain.node()}' '{toolchain.solc_js()}'"
    wrapper = folder / "solc"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {solc} --version\n'
        f'cat > "$0.in"\n{solc} --standard-json < "$0.in" > "$0.out"\n'
        "sed '1{/^>>>/d;}' \"$0.out\"\n"
    )
    wrapper.chmod(0o700)
    return wrapper


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
