"""`python -m federated.families`: what is installed here, and what a spec declares of it.

Listing imports nothing. `declare` runs the code that is named, by whoever writes a study with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from federated.errors import FamilyError, FederatedError
from federated.families import FAMILIES, shapes_of
from federated.families.code import offers
from federated.families.running import load
from federated.schema import Schema
from federated.spec import Choice


def main(arguments: Sequence[str] | None = None) -> int:
    """List the families, or print the `model` of a spec as JSON; 1 where that fails."""
    parser = argparse.ArgumentParser(prog="python -m federated.families", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    declare = commands.add_parser("declare", help="print a spec's `model`; runs the family's code")
    declare.add_argument("family", metavar="NAME@DIGEST", help="as the list shows it")
    declare.add_argument(
        "--shape", required=True, help="of a patient's inputs, such as 30 or 28,28"
    )
    declare.add_argument("--outputs", type=int, default=1, help="how many the study's task has")
    declare.add_argument("--config", type=json.loads, default={}, help="settings, as JSON")
    told = parser.parse_args(arguments)
    if told.command is None:
        sys.stdout.write(listed())
        return 0
    try:
        shape = tuple(int(size) for size in told.shape.split(","))
        sys.stdout.write(declared(told.family, shape, told.outputs, told.config))
    except (FederatedError, ValueError) as exc:
        sys.stderr.write(f"families: {exc}\n")
        return 1
    return 0


def listed() -> str:
    """One line a family: NAME@DIGEST as a policy lists it, or why it cannot be used."""
    lines = [f"{name}  built in" for name in FAMILIES]
    for offer in offers():
        try:
            lines.append(f"{offer.family}@{offer.read().digest}  {offer.named}")
        except FamilyError as exc:
            lines.append(f"{offer.family}  refused: {exc}")
    return "\n".join(lines) + "\n"


def declared(family: str, shape: tuple[int, ...], outputs: int, config: dict[str, object]) -> str:
    """The `model` section for inputs of this shape. Raises `FamilyError`, `SpecError`."""
    name, _, digest = family.partition("@")
    found = Schema.of("F32", load(name, digest).shapes(config, shape, outputs)).tensors
    model = Choice(name, config, digest, found)
    shapes_of(model, shape, outputs)
    tensors = [{"name": item.name, "shape": list(item.shape)} for item in found]
    content = {"name": name, "config": config, "digest": digest, "tensors": tensors}
    return json.dumps({"model": content}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
