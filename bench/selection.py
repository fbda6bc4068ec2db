"""`python -m bench.selection --study pneumonia`: how a study's settings were chosen.

Every candidate learns the whole federated study on seeds that no result is reported for, and is
judged by validation records inside the hospitals. Test records do not exist here: the official test
images of PneumoniaMNIST are never read, and of the hearts' the test part is dropped as it is dealt.

The criterion, fixed before any candidate ran: the least mean over seeds of the log loss of the
study's last model on all hospitals' validation records. For images it is the mean of two such
losses, of the images as they are and of the same ones moved, resized and exposed otherwise, because
a model has to serve machines and positions that its hospitals do not have.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import torch
from numpy.random import Generator, Philox

from bench.candidates import CANDIDATES, STRESS, Candidate
from federated.hospital.data import read_file, record_arrays
from federated.metrics import LOSS_UNIT, auc, log_loss
from federated.models import parameter_schema
from federated.networks import probabilities, varied
from federated.schema import Array, Parameters
from federated.simulate import Records, pool, simulate
from federated.spec import StudySpec
from federated.studies import heart_spec, pneumonia_spec
from records import heart, pneumonia
from records.splits import Part, assign

SEEDS = (11, 12, 13)
STUDIES: Mapping[str, Callable[..., StudySpec]] = {"heart": heart_spec, "pneumonia": pneumonia_spec}


@dataclass(frozen=True, slots=True)
class Learning:
    """What of a hospital's records a choice may see: no test part."""

    train: Records
    validation: Records


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate's figures, means over seeds; losses in nats a record, `spread` their SD."""

    name: str
    reason: str
    parameters: int
    criterion: float
    spread: float
    loss: float
    stressed: float | None
    auc: float
    train_s: float


def learning_sites(spec: StudySpec, folder: Path) -> dict[str, Learning]:
    """Every hospital's training and validation records, by name."""
    if spec.name == "pneumonia":
        files = pneumonia.deal(folder, spec.seed, official_test=False)
    else:
        files = heart.deal(folder, spec.seed)
    found = by_part(spec, files, (Part.TRAIN, Part.VALIDATION))
    return {name: Learning(*own) for name, own in found.items()}


def by_part(
    spec: StudySpec, files: Mapping[str, Path], wanted: Sequence[Part]
) -> dict[str, list[Records]]:
    """Every hospital's records of the wanted parts, in their order."""
    found = {}
    for name, file in files.items():
        records = read_file(file, spec).records
        fractions = {"validation": spec.split.validation, "test": spec.split.test}
        parts = assign(records, seed=spec.seed, hospital=name, **fractions)
        found[name] = [
            record_arrays([x for x in records if parts[x.key] is part], spec) for part in wanted
        ]
    return found


def judge(candidate: Candidate, study: str, sites: Mapping[int, Mapping[str, Learning]]) -> Judged:
    """Learn the candidate's study on each seed and judge its last model."""
    losses, stressed, areas = [], [], []
    started = time.process_time()
    spec = STUDIES[study]()
    for seed, hospitals in sites.items():
        spec = candidate.change(STUDIES[study](seed=seed))
        cohorts = [{name: site.train for name, site in hospitals.items()}] * spec.rounds
        parameters = simulate(spec, cohorts)[-1].parameters
        inputs, labels = pool([site.validation for site in hospitals.values()])
        found = auc(labels, probabilities(parameters, inputs, spec))
        if found is None:
            raise SystemExit(f"seed {seed}: validation records of one label only; take another")
        areas.append(found.value)
        losses.append(_loss(parameters, inputs, labels, spec))
        if spec.model.name == "cnn":
            stressed.append(_loss(parameters, _stressed(inputs, spec), labels, spec))
    seconds = (time.process_time() - started) / len(sites)
    both = [mean(pair) for pair in zip(losses, stressed, strict=True)] if stressed else losses
    return Judged(
        candidate.name,
        candidate.reason,
        parameter_schema(spec).size,
        mean(both),
        stdev(both) if len(both) > 1 else 0.0,
        mean(losses),
        mean(stressed) if stressed else None,
        mean(areas),
        seconds,
    )


def _loss(parameters: Parameters, inputs: Array, labels: Array, spec: StudySpec) -> float:
    return log_loss(labels, probabilities(parameters, inputs, spec)) / len(labels) / LOSS_UNIT


def _stressed(inputs: Array, spec: StudySpec) -> Array:
    """The images as other machines might take them: the same changes for every candidate."""
    changed = replace(spec, model=replace(spec.model, config=STRESS))
    changed_inputs = varied(torch.from_numpy(inputs), changed, Generator(Philox(key=spec.seed)))
    result: Array = changed_inputs.numpy()
    return result


def _table(judged: Sequence[Judged]) -> str:
    lines = [
        "| Candidate | Parameters | Criterion | SD | Loss | Stressed | AUC | CPU s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    best = min(judged, key=lambda one: one.criterion)
    for one in judged:
        name = f"**{one.name}**" if one is best else one.name
        stressed = "" if one.stressed is None else f"{one.stressed:.4f}"
        lines.append(
            f"| {name} | {one.parameters:,} | {one.criterion:.4f} | {one.spread:.4f} "
            f"| {one.loss:.4f} | {stressed} | {one.auc:.4f} | {one.train_s:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table of one study's candidates; the chosen one is in bold."""
    parser = argparse.ArgumentParser(prog="python -m bench.selection", description=__doc__)
    parser.add_argument("--study", choices=sorted(STUDIES), default="pneumonia")
    parser.add_argument("--only", help="judge the candidates whose name contains this")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: 11 12 13")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sites = {
            seed: learning_sites(STUDIES[options.study](seed=seed), Path(folder) / str(seed))
            for seed in options.seeds
        }
    judged = []
    for candidate in CANDIDATES[options.study]:
        if options.only and options.only not in candidate.name:
            continue
        judged.append(judge(candidate, options.study, sites))
        print(judged[-1], file=sys.stderr, flush=True)
    print(json.dumps([asdict(one) for one in judged]) if options.json else _table(judged))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
