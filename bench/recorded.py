"""What the record costs: rounds over a chain and sealed IPFS beside the same rounds without.

Every party has a home, keys and a Kubo node of its own. Hospitals train one after the other, as the
simulation beside it trains them. What parties do besides while another trains, they do here as
well: a hospital opens the newest model, seals and submits on its own (`hospital run`), the center
fetches what was submitted (`center run`). Start-up, enrolment and consents are apart; a round is
opened, frozen, trained, sealed, submitted, judged, summed and finalized.
"""

from __future__ import annotations

import csv
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event, Lock
from typing import Any

import numpy as np

from api.demo.consenting import ask_all, open_tiers
from api.demo.data import import_records
from api.demo.patients import Will, make_patients
from api.demo.swarm import in_step
from api.demo.world import World, build_world, mint
from bench.claims import Claim, judged
from bench.sealed import FEW, WIDTH, study
from chain.types import RoundNumber, StudyId
from federated import training
from federated.center import finalize, invite, open_round, request_study
from federated.center.ahead import fetch_ahead
from federated.hospital import HospitalNode, Policy, approve, freeze, join, submit, train
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.published import known_state, open_state
from federated.simulate import simulate
from federated.spec import Choice, StudySpec
from federated.state import initial_state, state_digest
from federated.study import read_study
from federated.training import Records
from records import wisconsin
from records.consents import ConsentTable
from records.splits import Part
from records.store import RecordStore
from storage.backends import EMBEDDED, KUBO_PRIVATE

HOSPITALS = ("north", "harbor", "valley", "lakeside", "hillside")
PATIENTS = 24  # of a hospital; a round's training takes a number of steps, not of records
TRAINING_S = 11.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of one round over the chain and of the same one simulated."""

    recorded: float
    simulated: float


def run(quick: bool) -> list[Claim]:
    """The median round's ratio. Quick: a small model, a few steps, a folder as the store."""
    width, backend, rounds = (FEW, EMBEDDED, 1) if quick else (WIDTH, KUBO_PRIVATE, ROUNDS)
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        folder = Path(name)
        world = build_world(folder / "world", list(HOSPITALS), _quiet, backend)
        try:
            pairs = _pairs(world, _spec(world, width, rounds, quick), rounds)
        finally:
            world.stop()
    value = median(pair.recorded / pair.simulated for pair in pairs)
    ours, peer = (median(getattr(p, side) for p in pairs) for side in ("recorded", "simulated"))
    return [
        judged("chain_overhead_10m", ours, peer, "s", value, "<=", 1.10, judge=not quick),
    ]


def _quiet(who: str, what: str) -> None:
    del who, what


def _spec(world: World, width: int, rounds: int, quick: bool) -> StudySpec:
    """Five hospitals, all needed; as many steps as take long enough on this machine today."""
    spec = replace(
        study(width),
        rounds=rounds,
        min_hospitals=len(HOSPITALS),
        max_hospitals=len(HOSPITALS),
        model=Choice("mlp", {"hidden": [width, width]}),
    )
    few, more = (
        replace(spec, training=replace(spec.training, epochs=1, updates=updates))
        for updates in (4, 12)
    )
    if quick:
        return few
    a_step = (_seconds(more) - _seconds(few)) / 8  # quantising is in both
    return replace(few, training=replace(few.training, updates=math.ceil(TRAINING_S / a_step)))


def _seconds(spec: StudySpec) -> float:
    """Processor seconds of one hospital's training, whatever else this machine does."""
    inputs = np.random.default_rng(1).normal(size=(PATIENTS, len(spec.data.features)))
    first = inputs.astype(np.float32), (inputs[:, 0] > 0).astype(np.int64)
    start = initial_state(spec)
    for _ in range(2):
        began = time.process_time()
        training.local_training(start, first, spec, hospital="north", round_number=1)
        taken = time.process_time() - began
    return taken


def _pairs(world: World, spec: StudySpec, rounds: int) -> list[Pair]:
    """Rounds in turn. The first one's models are compared: both sides did the same work."""
    number = _begin(world, spec)
    say, pairs = in_step(world.swarm, _quiet), list[Pair]()
    for place in range(1, rounds + 1):
        began = time.perf_counter()
        _round(world, number, say)
        recorded = time.perf_counter() - began
        cohort = _cohort(world, number, RoundNumber(place), spec)
        began = time.perf_counter()
        states = simulate(spec, [cohort])
        pairs.append(Pair(recorded, time.perf_counter() - began))
        if place == 1:
            found = open_state(
                world.center,
                read_study(world.center.chain, world.center.store, number, world.center.head()),
                RoundNumber(1),
                world.center.head(),
            )
            if state_digest(spec, found) != state_digest(spec, states[-1]):
                raise SystemExit("the round over the chain gave another model than the simulation")
    return pairs


def _round(world: World, study: StudyId, say: Callable[..., None]) -> None:
    """One round. `say` waits until the nodes have heard each other, which is no party's step."""
    number = open_round(world.center, study)
    # One hospital trains, and one does what is before or after it: more would take its cores.
    with ThreadPoolExecutor(2) as hospitals, _training_in_turn() as began:
        steps = [hospitals.submit(_take_part, world, HOSPITALS[0], study, number)]
        while not (began.wait(0.01) or steps[0].done()):
            pass  # on a machine of its own nobody else's work would hold it up
        steps += [
            hospitals.submit(_take_part, world, name, study, number) for name in HOSPITALS[1:]
        ]
        for left, step in zip(reversed(range(len(steps))), as_completed(steps), strict=True):
            step.result()
            if left:  # as `center run`, which finalizes a round that is complete
                _fetch(world, study, number, say)
    say(world.center.name, "finalizes")
    finalize(world.center, study, number)


def _take_part(world: World, name: str, study: StudyId, number: RoundNumber) -> None:
    """A hospital's own process: it evaluates the newest model, freezes, trains and submits."""
    home = world.homes[f"hospitals/{name}"].path
    node = replace(  # SQLite's connections are of the thread that opens them
        world.hospitals[name],
        records=RecordStore(home / "records.sqlite"),
        consents=ConsentTable(home / "consents.sqlite"),
    )
    _open_newest(node, study, number)
    freeze(node, study, number)
    train(node, study, number)
    submit(node, study, number)


@contextmanager
def _training_in_turn() -> Iterator[Event]:
    """One hospital trains at a time, as in the simulation; what else each does goes on beside.

    Gives what is set once one of them trains.
    """
    alone, began, inner = Lock(), Event(), training.local_training

    def in_turn(*arguments: Any, **named: Any) -> Any:
        with alone:
            began.set()
            return inner(*arguments, **named)

    training.local_training = in_turn
    try:
        yield began
    finally:
        training.local_training = inner


def _open_newest(node: HospitalNode, study: StudyId, number: RoundNumber) -> None:
    """The newest model, to evaluate it; its blocks are at the hospital from then on."""
    if number > 1:
        party, block = node.party, node.party.head()
        at = read_study(party.chain, party.store, study, block)
        known_state(party, at, RoundNumber(number - 1), block)


def _fetch(world: World, number: StudyId, place: RoundNumber, say: Callable[..., None]) -> None:
    party = world.center
    say(party.name, "fetches")
    study = read_study(party.chain, party.store, number, party.head())
    fetch_ahead(party, study, place)


def _begin(world: World, spec: StudySpec) -> StudyId:
    """Request, enrol, ask: as in the demo, and everybody consents."""
    mint(world, world.center.address, spec.reward.budget_wei)
    number = request_study(world.center, spec, world.token)
    keys = {}
    for name, file in _deal(world.folder / "exports").items():
        node = world.hospitals[name]
        import_records(node, file, spec)
        keys[name] = [record.key for record in node.records.records(spec.data.dictionary)]
        invite(world.center, number, node.party.address)
        mint(world, node.party.address, spec.reward.bond_wei)
        approve(node, number, Policy())
        join(node, number)
    made = make_patients(world.folder / "patients", keys, world.center.chain, seed=1)
    patients = [replace(patient, will=Will.STANDING) for patient in made]
    ask_all(world, patients, open_tiers(world, number, _quiet), _quiet)
    return number


def _deal(folder: Path) -> dict[str, Path]:
    """The patients of the data set's first hospital, over five."""
    with wisconsin.deal(folder, seed=1)["north"].open(newline="") as file:
        header, *rows = csv.reader(file)
    files = {}
    for place, name in enumerate(HOSPITALS):
        files[name] = folder / f"{name}.csv"
        with files[name].open("w", newline="") as file:
            own = rows[place * PATIENTS : (place + 1) * PATIENTS]
            csv.writer(file).writerows([header, *own])
    return files


def _cohort(
    world: World, number: StudyId, round_number: RoundNumber, spec: StudySpec
) -> dict[str, Records]:
    """What each hospital trained on."""
    found = {}
    for name, node in world.hospitals.items():
        party = node.party
        at = read_study(party.chain, party.store, number, party.head())
        members = frozen_members(node, at, round_number)
        found[name] = arrays([m for m in members if m.part is Part.TRAIN], spec)
    return found
