"""The rounds of the demo: open, freeze, train, submit, finalize, and a withdrawal now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.demo.consenting import Consenting, withdraw_one
from api.demo.patients import DemoPatient, Will
from api.demo.world import Say, World
from api.report.data import Transfer
from chain.types import RoundNumber, StudyId
from federated.center import finalize, open_round, propose
from federated.contribution import measured
from federated.hospital import freeze, report, submit, train
from federated.search import reports_asked
from federated.study import read_study

WITHDRAWALS = {2: "signature", 3: "direct", 4: "paper"}
"""After which round one patient withdraws, and how."""


@dataclass(slots=True)
class Rounds:
    """What the rounds gave: transfers, people in each round's cohorts, seconds for reports."""

    transfers: list[Transfer] = field(default_factory=list)
    cohorts: list[int] = field(default_factory=list)
    last: int = 0
    judging_s: float = 0.0


def run_rounds(
    world: World,
    study: StudyId,
    count: int,
    patients: Sequence[DemoPatient],
    consenting: Consenting,
    say: Say,
) -> Rounds:
    """All rounds of the study."""
    done = Rounds()
    for _ in range(count):
        number = open_round(world.center, study)
        say("center", f"opens round {number} of {count}")
        done.cohorts.append(_round(world, study, number, done, say))
        done.last = number
        if (way := WITHDRAWALS.get(number)) and number < count:
            withdraw_one(world, _who_withdraws(patients, consenting, number), consenting, way, say)
    return done


def _round(world: World, study: StudyId, number: RoundNumber, done: Rounds, say: Say) -> int:
    people = 0
    for name, node in world.hospitals.items():
        say(name, f"round {number}: freezes its cohort")
        people += freeze(node, study, number).n
    sent = {}
    for name, node in world.hospitals.items():
        say(name, f"round {number}: trains, seals and submits")
        trained = train(node, study, number)
        sent[name] = (trained.sealed.payload_size, trained.upload_s, submit(node, study, number))
    done.judging_s += _judge(world, study, number, say)
    say("center", f"round {number}: verifies, aggregates and finalizes")
    result = finalize(world.center, study, number)
    names = list(world.hospitals)
    for index, _, seconds in result.downloads:
        size, upload_s, chain_s = sent[names[index]]
        done.transfers.append(
            Transfer(world.backend, number, names[index], size, upload_s, seconds, chain_s)
        )
    return people


def _judge(world: World, study: StudyId, number: RoundNumber, say: Say) -> float:
    """For a contribution rule or a search, models and reports; the seconds that they took."""
    spec = read_study(world.center.chain, world.center.store, study, world.center.head()).spec
    if not reports_asked(spec, number):
        return 0.0
    started = time.monotonic()
    them = "them" if measured(spec.reward.rule) else "it"
    without = " and those without each hospital" if measured(spec.reward.rule) else ""
    say("center", f"round {number}: seals the model{without}")
    if propose(world.center, study, number) is not None:
        for name, node in world.hospitals.items():
            say(name, f"round {number}: judges {them} on its validation patients and signs counts")
            report(node, study, number)
    return time.monotonic() - started


def _who_withdraws(
    patients: Sequence[DemoPatient], consenting: Consenting, number: int
) -> DemoPatient:
    """A patient with a standing consent, another one each time."""
    standing = [
        p for p in patients if p.will is Will.STANDING and p.local_key in consenting.agreements
    ]
    return standing[number * 7 % len(standing)]
