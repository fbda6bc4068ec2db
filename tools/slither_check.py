"""Slither over the contracts: what it finds fails, unless a comment beside the code says why not.

    python tools/slither_check.py

    // slither-disable-next-line unused-return: a failed recovery gives key 0

A comment without a reason fails, and so does one that nothing is found at any more.

It has an environment of its own (tools/slither/requirements.lock), built once in the user's cache.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
sys.path[0] = str(ROOT)
sys.path.append(str(ROOT / "tools"))

import own_environment  # noqa: E402

from chain import compile as compiler  # noqa: E402
from chain import toolchain  # noqa: E402

# What stands beside the code: which detectors are not heard there, and why.
_COMMENT = re.compile(r"//\s*slither-disable-(next-line|start|end)\b(.*)")
_REASON = re.compile(r"\s*[a-z0-9-]+(?:,[a-z0-9-]+)*: \S+")


def findings() -> list[str]:
    """What Slither finds in contracts/, but for dev/, and comments that switch nothing off."""
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
            own_environment.program("slither"),
            "input.json",
            "--compile-force-framework",
            "solc-json",
        ]
        command += ["--solc", _solc(folder), "--filter-paths", "@openzeppelin|contracts/dev"]
        command += ["--exclude-informational", "--exclude-optimization"]
        command += ["--warn-unused-ignores", "--json", found]
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not found.exists():
            raise SystemExit("slither: gave no answer: run `make setup`, then try again")
        answer = json.loads(found.read_text("utf-8"))
    if not answer["success"]:
        raise SystemExit(f"slither: {answer['error']}")
    return [text for one in answer["results"].get("detectors", []) for text in _told(one)]


def unreasoned(sources: Mapping[str, str]) -> list[str]:
    """unit:line of each comment that switches detectors off and does not say why."""
    found = []
    for unit, text in sources.items():
        for number, line in enumerate(text.splitlines(), 1):
            comment = _COMMENT.search(line)
            if comment and comment[1] != "end" and not _REASON.match(comment[2]):
                found.append(f"{unit}:{number}")
    return found


def main() -> int:
    """Prints what is wrong; exit status 1 where anything is."""
    ours = {unit: t for unit, t in compiler.read_sources().items() if unit.startswith("contracts/")}
    wrong = [f"{at}: say why, as `detector: reason`" for at in unreasoned(ours)]
    wrong += findings()
    for one in wrong:
        print(f"slither: {one}")
    comments = sum(text.count("slither-disable-") for text in ours.values())
    print(f"slither: {len(wrong)} faults; {comments} comments beside the code")
    return int(bool(wrong))


def _told(finding: dict[str, Any]) -> list[str]:
    stale = finding.get("unused_ignores")
    if stale is None:
        where = finding["elements"][0]["source_mapping"]
        at = f"{where['filename_relative']}:{where['lines'][0]}"
        return [f"{at}: {finding['check']}: mend it, or say beside the code why not"]
    # A file that two of the contracts import is told twice.
    lines = sorted(
        {(one["file"], one["line"], ", ".join(one["unused_detectors"])) for one in stale}
    )
    return [
        f"{Path(file).name}:{line}: {checks} is found no more: take its comment away"
        for file, line, checks in lines
        if "@openzeppelin" not in file
    ]


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


if __name__ == "__main__":
    raise SystemExit(main())
