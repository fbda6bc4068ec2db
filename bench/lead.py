"""`python -m bench.lead --study pneumonia`: the federated model beside tuned ones, with p values.

Every record of every hospital takes part, so the figures are those of a study in which all patients
consent. The other models are tuned on validation records (`federated.baselines`) and all are judged
once, on the test records of all hospitals. p and intervals are DeLong's for the same patients.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.selection import STUDIES, by_part
from federated.evaluation.paired import Difference, auc_difference
from federated.evaluation.result import CENTRALISED, FEDERATED
from federated.metrics import Estimate, auc
from federated.networks import probabilities
from federated.simulate import Site, all_models, simulate
from federated.spec import StudySpec
from records import heart, pneumonia
from records.splits import Part

DEAL = {"heart": heart.deal, "pneumonia": pneumonia.deal}
OWN_MEAN = "mean of own models"


@dataclass(frozen=True, slots=True)
class Lead:
    """A seed's federated AUC less that of a rival, on the test records of all hospitals."""

    seed: int
    rival: str
    federated: Estimate
    rival_auc: float
    lead: Difference


def sites_of(spec: StudySpec, folder: Path) -> dict[str, Site]:
    """Every hospital's records by part, the test part too."""
    files = DEAL[spec.name](folder, spec.seed)
    found = by_part(spec, files, (Part.TRAIN, Part.VALIDATION, Part.TEST))
    return {name: Site(*own) for name, own in found.items()}


def leads(spec: StudySpec, sites: Mapping[str, Site]) -> list[Lead]:
    """The federated model against each tuned one, and against the own models' mean."""
    cohorts = [{name: site.train for name, site in sites.items()}] * spec.rounds
    learned = simulate(spec, cohorts)[-1].parameters
    with all_models(spec, sites, learned) as fitted:
        models = fitted()
    inputs, labels = (np.concatenate([site.test[i] for site in sites.values()]) for i in range(2))
    found = {name: probabilities(model, inputs, spec) for name, model in models.items()}
    federated = found.pop(FEDERATED)
    rivals = {name: [chances] for name, chances in found.items()}
    rivals[OWN_MEAN] = [chances for name, chances in found.items() if name != CENTRALISED]
    area, told = auc(labels, federated), []
    for name, others in rivals.items():
        lead = auc_difference(labels, federated, *others)
        if area is None or lead is None:
            raise SystemExit(f"seed {spec.seed}: test records of one label only; take another")
        told.append(Lead(spec.seed, name, area, area.value - lead.value, lead))
    return told


def _table(found: Sequence[Lead]) -> str:
    lines = [
        "| Seed | Federated AUC | Beside | AUC | Lead, 95 % interval | p |",
        "| ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for item in found:
        lead, p = item.lead, item.lead.p
        shown = "" if p is None else "<.001" if p < 0.0005 else f"{p:.3f}"
        lines.append(
            f"| {item.seed} | {item.federated.value:.3f} | {item.rival} | {item.rival_auc:.3f} "
            f"| {lead.value:+.3f} {lead.low:+.3f} to {lead.high:+.3f} | {shown} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print a line for each seed and rival."""
    parser = argparse.ArgumentParser(prog="python -m bench.lead", description=__doc__)
    parser.add_argument("--study", choices=sorted(DEAL), default="pneumonia")
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3), help="default: 1 2 3")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            spec = STUDIES[options.study](seed=seed)
            found += leads(spec, sites_of(spec, Path(folder) / str(seed)))
            print(_table(found), file=sys.stderr, flush=True)
    print(json.dumps([asdict(item) for item in found]) if options.json else _table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
