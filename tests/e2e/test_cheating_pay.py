"""Hearts through all actors on a chain: who idles or lies is paid less than its honest work earns.

One study is run with an idle and a lying hospital at once. What honest work would have earned is
simulated on the very cohorts that were frozen, the other one cheating; the simulation of the
cheated study gives the same reports as the actors did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import federated.training
from api.demo.consenting import ask_all, negotiate, open_tiers
from api.demo.data import DEAL, HOSPITALS, import_records
from api.demo.patients import make_patients
from api.demo.world import World, build_world, mint
from chain.types import StudyId
from federated.auditor import Level, replay
from federated.center import finalize, invite, open_round, propose, request_study, settle
from federated.contribution import Measure
from federated.hospital import Policy, approve, freeze, join, report, submit, train
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.rewards import by_contribution, gains
from federated.schema import Array
from federated.signed_report import listed_reports
from federated.simulate import Site
from federated.simulate_reports import simulate_reports
from federated.spec import Split, StudySpec
from federated.studies import heart_spec
from federated.study import read_study
from records.importer import Imported
from records.sources import HEART
from records.splits import Part
from tests.data_sets import need

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]

IDLE, LYING = "hungarian", "cleveland"
PATIENTS = 110
ROUNDS = 2


def _quiet(_who: str, _what: str) -> None:
    """A demo tells who does what; a test does not."""


RULES: dict[str, dict[str, float] | None] = {
    "leave-one-out": None,
    "gtg-shapley": {"permutations": 1, "tolerance": 0.0001, "round_tolerance": 0.001},
}
"""One drawn order each: with more, four hospitals follow all orders."""


def _study(world: World, rule: str) -> tuple[StudyId, StudySpec]:
    """Heart with a part of its patients, all consents given."""
    spec = heart_spec(auditors=[world.auditor.address.lower()], seed=1)  # type: ignore[list-item]
    spec = replace(
        spec,
        rounds=ROUNDS,
        reward=replace(spec.reward, rule=rule, config=RULES[rule]),
        split=Split(validation=0.3, test=0.1),
    )
    mint(world, world.center.address, spec.reward.budget_wei)
    number = request_study(world.center, spec, world.token)
    files, keys = DEAL["heart"](world.folder / "exports", 1), {}
    for name, node in world.hospitals.items():
        import_records(node, files[name], spec)
        dictionary = spec.data.dictionary
        records = node.records.records(dictionary)
        some = tuple(records[:: 1 + len(records) // PATIENTS])  # files are sorted by finding
        node.records.replace(Imported(some, (), node.records.report()), dictionary)
        keys[name] = [record.key for record in some]
        invite(world.center, number, node.party.address)
        mint(world, node.party.address, spec.reward.bond_wei)
        approve(node, number, Policy())
        join(node, number)
    patients = make_patients(world.folder / "patients", keys, world.center.chain, 1)
    tiers = open_tiers(world, number, _quiet)
    negotiate(world, patients, tiers, _quiet)
    consenting = ask_all(world, patients, tiers, _quiet)
    assert consenting.granted > 2 * PATIENTS
    return number, spec


def _cheat(patch: pytest.MonkeyPatch) -> None:
    """One hospital returns what it got, one trains on the opposite of every finding."""
    honest = federated.training.local_update

    def update(parameters: Any, inputs: Array, labels: Array, *given: Any, **named: Any) -> Any:
        if named["hospital"] == IDLE:
            return {name: np.zeros(array.shape) for name, array in parameters.items()}
        truth = 1 - labels if named["hospital"] == LYING else labels
        return honest(parameters, inputs, truth, *given, **named)

    patch.setattr(federated.training, "local_update", update)


def _run(world: World, number: StudyId) -> None:
    for _ in range(ROUNDS):
        place = open_round(world.center, number)
        for node in world.hospitals.values():
            freeze(node, number, place)
        for node in world.hospitals.values():
            train(node, number, place)
            submit(node, number, place)
        assert propose(world.center, number, place) is not None
        for node in world.hospitals.values():
            assert report(node, number, place) is not None
        finalize(world.center, number, place)


def _sites(world: World, number: StudyId) -> Mapping[str, Site]:
    study = read_study(world.center.chain, world.center.store, number, world.center.head())
    found = {}
    for name, node in world.hospitals.items():
        members = frozen_members(node, study, 1)  # type: ignore[arg-type]
        parts = [
            arrays([m for m in members if m.part is part], study.spec)
            for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
        ]
        found[name] = Site(*parts)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_an_idle_and_a_lying_hospital_are_paid_less_than_honest_work_earns(
    tmp_path: Path, rule: str
) -> None:
    need(*HEART.values())
    world = build_world(tmp_path / "world", HOSPITALS["heart"], _quiet)
    try:
        number, spec = _study(world, rule)
        with pytest.MonkeyPatch.context() as patch:
            _cheat(patch)
            _run(world, number)
        shares = settle(world.center, number)
        verdict = replay(world.auditor, number, level=Level.KEYED)
        assert verdict.failures == []

        sites, block = _sites(world, number), world.center.head()
        study = read_study(world.center.chain, world.center.store, number, block)
        weights, _ = world.center.chain.rounds.counted_weights(number, block_identifier=block)
        listed = listed_reports(world.center, study, block)
        inputs, labels = sites[LYING].train
        lying = {**sites, LYING: replace(sites[LYING], train=(inputs, 1 - labels))}
        measure, simulated = Measure.of(spec), simulate_reports(spec, lying, idle=[IDLE])
        assert gains(measure, listed) == gains(measure, simulated)

        pool, index = study.terms.hospital_pool, list(sites).index
        behaved = {IDLE: (lying, ()), LYING: (sites, (IDLE,))}  # the other cheats all the same
        for name, (cohorts, idle) in behaved.items():
            reports = simulate_reports(spec, cohorts, idle=idle)
            honest = by_contribution(measure, pool, reports, dict(enumerate(weights)))
            assert shares[index(name)] < 0.7 * honest[index(name)], name
    finally:
        world.stop()
