"""Runs one whole study, from the request to the last payment, and gathers what it showed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from api.demo.comparing import comparison
from api.demo.consenting import Consenting, ask_all, negotiate, open_tiers
from api.demo.data import DEAL, HOSPITALS, SPEC, import_records
from api.demo.patients import make_patients
from api.demo.paying import Paid, pay_all
from api.demo.reporting import write_report
from api.demo.rounds import Rounds, run_rounds
from api.demo.swarm import in_step
from api.demo.transfer import compare_transfers
from api.demo.world import Say, World, build_world, mint
from api.errors import FULL
from api.report.data import StoreCase
from chain.types import RoundNumber, StudyId
from federated.auditor import Level, Verdict, replay
from federated.center import invite, request_study
from federated.evaluation.result import Evaluation
from federated.hospital import Policy, approve, join
from federated.metrics import FIGURES, LOSS_UNIT, Estimate
from federated.simulate import Row
from federated.spec import StudySpec
from storage.backends import EMBEDDED, KUBO_PRIVATE


@dataclass(frozen=True, slots=True)
class DemoResult:
    """All that a demo shows at its end."""

    study: str
    seed: int
    number: StudyId
    global_model: bytes
    rows: list[Row]
    evaluation: Evaluation
    consenting: Consenting
    rounds: Rounds
    verdict: Verdict
    paid: Paid
    wall_s: float
    transfer_table: list[StoreCase]

    def to_json(self) -> dict[str, Any]:
        """The object that `consilium demo --json` prints."""
        return {
            "study": self.study,
            "seed": self.seed,
            "number": self.number,
            "global_model": self.global_model.hex(),
            "rows": [_row(row) for row in self.rows],
            "consents": {
                "asked": self.consenting.asked,
                "granted": self.consenting.granted,
                "refused": self.consenting.refused,
                "revoked": self.consenting.revoked,
                "in_cohort": self.rounds.cohorts,
            },
            "transfer": [asdict(item) for item in self.rounds.transfers],
            "transfer_table": [asdict(row) for row in self.transfer_table],
            "audit": self.verdict.to_json(),
            "rewards": {
                "patients": {"paid": self.paid.patients_paid, "total": self.paid.patients_total},
                "hospitals": self.paid.hospitals,
                "rule": self.paid.rule,
                "contributions": self.paid.contributions,
                "contributions_nats": {
                    name: round(gain / LOSS_UNIT, 4)
                    for name, gain in self.paid.contributions.items()
                },
                "judging_s": self.rounds.judging_s,
                "budget": self.paid.budget,
                "paid": self.paid.paid,
                "refundable": self.paid.refundable,
            },
            "wall_s": self.wall_s,
        }


def run_demo(folder: Path, name: str, seed: int, say: Say, backend: str = EMBEDDED) -> DemoResult:
    """One study in a new folder; everything that a later command needs stays there."""
    started = time.monotonic()
    with _full_disk_named(folder):
        world = build_world(folder, HOSPITALS[name], say, backend)
        say = in_step(world.swarm, say)
        try:
            result = _study(world, name, seed, say, started)
            shown = result.to_json()
            (folder / "result.json").write_text(json.dumps(shown, indent=1), "utf-8")
            write_report(world, result.number, result.evaluation, shown)
            return result
        finally:
            world.stop()


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """A write to an open file fails without saying where; all of a demo's are in its folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno in FULL and exc.filename is None:
            raise OSError(exc.errno, exc.strerror, str(folder)) from exc
        raise


def _study(world: World, name: str, seed: int, say: Say, started: float) -> DemoResult:
    files = DEAL[name](world.folder / "exports", seed)
    spec = SPEC[name](auditors=[world.auditor.address.lower()], seed=seed)
    number = _request(world, spec, say)
    keys = {}
    for hospital, node in world.hospitals.items():
        say(hospital, "imports its records, approves the study and posts its bond")
        import_records(node, files[hospital], spec)
        keys[hospital] = [record.key for record in node.records.records(spec.data.dictionary)]
        invite(world.center, number, node.party.address)
        mint(world, node.party.address, spec.reward.bond_wei)
        approve(node, number, Policy())
        join(node, number)
    patients = make_patients(world.folder / "patients", keys, world.center.chain, seed)
    tiers = open_tiers(world, number, say)
    negotiate(world, patients, tiers, say)
    consenting = ask_all(world, patients, tiers, say)
    rounds = run_rounds(world, number, spec.rounds, patients, consenting, say)
    with comparison(world, number, RoundNumber(rounds.last), say) as compared:
        paid = pay_all(world, number, patients, consenting, say)
        say("auditor", "replays the study from chain and store")
        verdict = replay(world.auditor, number, level=Level.KEYED)
        say("simulation", "compares the models on every test patient")
        rows, evaluation, digest = compared()
    wall_s = time.monotonic() - started
    # Where others get copies, what is compared would be their disks, too.
    alone = world.backend == KUBO_PRIVATE
    table = compare_transfers(world, number, rounds, say) if alone else []
    shown = (rows, evaluation, consenting, rounds, verdict, paid)
    return DemoResult(name, seed, number, digest, *shown, wall_s, table)


def _request(world: World, spec: StudySpec, say: Say) -> StudyId:
    say("center", "requests a model: publishes the spec, puts the budget into escrow")
    mint(world, world.center.address, spec.reward.budget_wei)
    return request_study(world.center, spec, world.token)


def _row(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {"model": row.model, "test": row.test}
    for name in FIGURES:
        figure: Estimate | None = getattr(row.scores, name)
        shown[name] = figure.value if figure else None
        shown[f"{name}_low"] = figure.low if figure else None
        shown[f"{name}_high"] = figure.high if figure else None
    simulated = row.model != "federated" or row.test == "pooled"
    return shown | {"computed_by": "simulation" if simulated else "hospital"}
