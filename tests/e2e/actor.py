"""One actor as a process of its own, that ends itself by SIGKILL at a named point.

Run as `python -m tests.e2e.actor FOLDER NAME ROUND POINT`. POINT is "none", or STAGE:STEP, where
STEP is how the step's name begins, and STAGE one of: `unwritten` and `written` (before and after
the journal keeps it), `signed` and `sent` (before and after its transaction leaves the outbox).
NAME/propose and NAME/report take that one step of a contribution rule.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from chain.deploy import Deployment
from chain.outbox import Entry
from chain.sender import Sender
from chain.types import RoundNumber, StudyId
from federated.center import finalize, propose
from federated.hospital import freeze, report, submit, train
from federated.journal import Journal
from storage.keys import Identity, Profile
from storage.signing import SigningKey
from tests.e2e.kit import Keys, make_node, make_party


def arm(point: str) -> None:
    """Die at the point."""
    stage, _, prefix = point.partition(":")
    broadcast, put = Sender._broadcast, Journal.put

    def die(at: str, step: str) -> None:
        if stage == at and step.startswith(prefix):
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_broadcast(self: Sender, entry: Entry) -> None:
        die("signed", entry.step)
        broadcast(self, entry)
        die("sent", entry.step)

    def dying_put(self: Journal, step: str, value: Any) -> None:
        die("unwritten", step)
        put(self, step, value)
        die("written", step)

    Sender._broadcast = dying_broadcast  # type: ignore[method-assign]
    Journal.put = dying_put  # type: ignore[method-assign]


def main(folder: Path, name: str, number: RoundNumber, point: str) -> None:
    """Take all steps of a round that are this actor's, or the one that its name tells."""
    name, _, verb = name.partition("/")
    shown = json.loads((folder / "actors.json").read_text())
    raw = shown["keys"][name]
    keys = Keys(
        bytes.fromhex(raw["account"]),
        SigningKey(bytes.fromhex(raw["signing"])),
        Identity(Profile(raw["profile"]), bytes.fromhex(raw["identity"])),
    )
    deployment = Deployment.from_json(shown["deployment"])
    party = make_party(folder, name, keys, shown["url"], deployment)
    study = StudyId(shown["study"])
    arm(point)
    if verb == "propose":
        propose(party, study, number)
        return
    if name == "center":
        finalize(party, study, number)
        return
    node = make_node(folder, party)
    if verb == "report":
        report(node, study, number)
        return
    freeze(node, study, number)
    train(node, study, number)
    submit(node, study, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], RoundNumber(int(sys.argv[3])), sys.argv[4])
