"""Chest X-rays: the decentralised network beside the centralised one, and rules beside liars.

The images, the split and the network are those of the study that ships (PneumoniaMNIST, official
test images held out); every image of every hospital takes part. Networks are trained with the
study's own settings, and the centralised and local ones keep their best round by validation loss, a
choice that the federated model does not get.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.random import Generator, Philox

from bench.lead import sites_of
from federated.baselines import fit_baseline
from federated.codec import Config
from federated.metrics import Scores, scores
from federated.networks import probabilities
from federated.rules import check_spec
from federated.schema import Array, Parameters
from federated.simulate import Site, pool, simulate
from federated.spec import Choice, StudySpec
from federated.studies import pneumonia_spec
from federated.training import Lie, Records

SEEDS = (1, 2, 3)
LIARS = 2
PROCESSES = 2
NOISE = 10.0
"""A noisy liar's update has this many times the norm of its honest one."""

ATTACKS = ("sign flip", "scaled noise", "label flip")


@dataclass(frozen=True, slots=True)
class Job:
    """One model to train and judge; `hospitals` 0 leaves the study's own uneven ones.

    `rounds` are the study's own where None. `model` is "federated", "centralised", or "local": that
    of the hospital at place `own`.
    """

    seed: int
    hospitals: int = 0
    rounds: int | None = None
    model: str = "federated"
    own: int = 0
    strategy: str = "fedavg"
    config: Config = field(default_factory=dict)
    attack: str = ""
    quick: bool = False


def run(jobs: Sequence[Job]) -> list[Scores]:
    """Every job's figures on all official test images, two at a time, one thread each."""
    found = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        for done, result in enumerate(processes.map(judged, jobs), start=1):
            print(f"{done} of {len(jobs)} networks trained", file=sys.stderr, flush=True)
            found.append(result)
    return found


def judged(job: Job) -> Scores:
    """Train what the job says, and judge it on the test images of all hospitals."""
    spec = study(job)
    sites = _sites(job.seed, job.hospitals, job.quick)
    inputs, labels = pool([site.test for site in sites.values()])
    return scores(labels, probabilities(_model(job, spec, sites), inputs, spec))


def study(job: Job) -> StudySpec:
    """The study that ships, by the job's strategy and number of hospitals."""
    spec = pneumonia_spec(seed=job.seed)
    most = max(job.hospitals, spec.max_hospitals)
    spec = replace(
        spec,
        strategy=Choice(job.strategy, job.config),
        max_hospitals=most,
        min_hospitals=most if job.hospitals else spec.min_hospitals,
        rounds=1 if job.quick else job.rounds or spec.rounds,
    )
    check_spec(spec)
    return spec


def even(spec: StudySpec, sites: Mapping[str, Site], count: int) -> dict[str, Site]:
    """All records dealt anew, as many to each of `count` hospitals: the easy case."""
    order = Generator(Philox(key=spec.seed))
    parts = []
    for name in ("train", "validation", "test"):
        inputs, labels = pool([getattr(site, name) for site in sites.values()])
        places = np.array_split(order.permutation(len(labels)), count)
        parts.append([(inputs[own], labels[own]) for own in places])
    return {f"h{n:02d}": Site(*own) for n, own in enumerate(zip(*parts, strict=True))}


@cache
def _sites(seed: int, count: int, quick: bool) -> Mapping[str, Site]:
    spec = pneumonia_spec(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        sites = sites_of(spec, Path(folder))
    if quick:
        sites = {name: _few(site) for name, site in sites.items()}
    return even(spec, sites, count) if count else sites


def _few(site: Site) -> Site:
    cut = [(inputs[:40], labels[:40]) for inputs, labels in (site.train, site.validation)]
    return Site(*cut, site.test)


def _model(job: Job, spec: StudySpec, sites: Mapping[str, Site]) -> Parameters:
    if job.model == "federated":
        return _federated(job, spec, sites)
    if job.model == "local":
        name, site = list(sites.items())[job.own]
        return fit_baseline(site.train, site.validation, spec, name)
    train = pool([site.train for site in sites.values()])
    validation = pool([site.validation for site in sites.values()])
    return fit_baseline(train, validation, spec, "pooled")


def _federated(job: Job, spec: StudySpec, sites: Mapping[str, Site]) -> Parameters:
    cohort = {name: site.train for name, site in sites.items()}
    liars = list(cohort)[:LIARS] if job.attack else []
    if job.attack == "label flip":
        cohort |= {name: _flipped(cohort[name]) for name in liars}
        lies: dict[str, Lie] = {}
    else:
        lies = {name: _lie(job.attack, number) for number, name in enumerate(liars)}
    return simulate(spec, [cohort] * spec.rounds, lies=lies)[-1].parameters


def _flipped(records: Records) -> Records:
    return records[0], 1 - records[1]


def _lie(attack: str, number: int) -> Lie:
    order = Generator(Philox(key=number))

    def flip(update: dict[str, Array]) -> dict[str, Array]:
        return {name: -array for name, array in update.items()}

    def noise(update: dict[str, Array]) -> dict[str, Array]:
        made = {name: order.normal(size=array.shape) for name, array in update.items()}
        scale = NOISE * _norm(update) / _norm(made)
        return {name: array * scale for name, array in made.items()}

    return flip if attack == "sign flip" else noise


def _norm(tensors: Mapping[str, Array]) -> float:
    return float(np.sqrt(sum(float(np.square(array).sum()) for array in tensors.values())))
