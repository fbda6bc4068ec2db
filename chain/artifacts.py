"""Knows the compiled contracts: their ABI, code and where immutables lie in it. Needs no solc."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from chain.errors import ArtifactsStale
from chain.toolchain import CONTRACTS

ARTIFACTS = CONTRACTS / "artifacts"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    `immutables` gives for each immutable's name the (start, length) in `runtime`, in bytes.
    """

    name: str
    source: str
    abi: tuple[dict[str, Any], ...]
    creation: bytes
    runtime: bytes
    immutables: dict[str, tuple[tuple[int, int], ...]]

    def filled(self, values: dict[str, bytes]) -> bytes:
        """The runtime code with its immutables, each a 32-byte word, in place."""
        code = bytearray(self.runtime)
        for name, spots in self.immutables.items():
            for start, length in spots:
                code[start : start + length] = values[name][-length:]
        return bytes(code)


@functools.cache
def load(name: str) -> Artifact:
    """The artifact of one contract; raises ArtifactsStale where it is not the one recorded."""
    record = _record()
    if name not in record["artifacts"]:
        raise ArtifactsStale(f"no artifact of {name} in {ARTIFACTS}: run `make contracts`")
    data = _read(f"{name}.json", record["artifacts"][name])
    raw = json.loads(data)
    return Artifact(
        name=name,
        source=raw["contract"].rsplit(":", 1)[0],
        abi=tuple(raw["abi"]),
        creation=bytes.fromhex(raw["bytecode"][2:]),
        runtime=bytes.fromhex(raw["deployedBytecode"][2:]),
        immutables={
            key: tuple((spot["start"], spot["length"]) for spot in spots)
            for key, spots in raw["immutableReferences"].items()
        },
    )


def names() -> list[str]:
    """Contracts that have an artifact."""
    return list(_record()["artifacts"])


def verify_artifacts() -> dict[str, Any]:
    """Checks the digest of every artifact; returns the record of sources and settings."""
    record = _record()
    for name, digest in record["artifacts"].items():
        _read(f"{name}.json", digest)
    unknown = {path.stem for path in ARTIFACTS.glob("*.json")} - {"sources", *record["artifacts"]}
    if unknown:
        raise ArtifactsStale(f"unrecorded artifacts {', '.join(sorted(unknown))} in {ARTIFACTS}")
    return record


def dump(value: dict[str, Any]) -> bytes:
    """JSON as artifacts are written: one form, so that its digest can be recorded."""
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def _record() -> dict[str, Any]:
    path = ARTIFACTS / "sources.json"
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ArtifactsStale(f"{path} is missing or no JSON: run `make contracts`") from exc
    return record


def _read(file: str, digest: str) -> bytes:
    try:
        data = (ARTIFACTS / file).read_bytes()
    except OSError as exc:
        raise ArtifactsStale(f"no {file} in {ARTIFACTS}: run `make contracts`") from exc
    if hashlib.sha256(data).hexdigest() != digest:
        raise ArtifactsStale(f"{ARTIFACTS / file} was altered: run `make contracts`")
    return data
