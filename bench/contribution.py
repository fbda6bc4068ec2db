"""`python -m bench.contribution --study pneumonia`: what cheating earns under each reward rule.

The study is learned twice on every seed: honestly, and with one hospital that returns the model as
it got it and one that trains on the opposite of every finding. All records take part. Each round is
judged once, in every order of joining; the reports of the other rules hold a part of these counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

from bench.lead import sites_of
from bench.selection import STUDIES
from federated.contribution import Confidence, Measure, Walk, confidences, everyone
from federated.reports import Report
from federated.rewards import by_contribution, split, walks
from federated.simulate import Site
from federated.simulate_reports import simulate_reports, weights_of
from federated.spec import StudySpec

POOL = 10**9
IDLE = {"heart": "hungarian", "pneumonia": "abbey"}
LYING = {"heart": "cleveland", "pneumonia": "castle"}
ALL = {"permutations": 1000, "tolerance": 0}
RULES: Mapping[str, Mapping[str, float] | None] = {
    "leave-one-out": None,
    "tmc-shapley": ALL,
    "tmc-shapley, 1 order": {"permutations": 1, "tolerance": 0},
    "tmc-shapley, cut at .02": {"permutations": 1000, "tolerance": 0.02},
    "gtg-shapley, cut at .02, .05": {
        "permutations": 1000,
        "tolerance": 0.02,
        "round_tolerance": 0.05,
    },
}
"""Rules with settings; `count` needs no reports."""


@dataclass(frozen=True, slots=True)
class Line:
    """A hospital's part of the pool when it or others cheat, and when nobody does.

    `judged` are the models that the hospital judged in all rounds; contributions are in nats.
    """

    seed: int
    rule: str
    hospital: str
    role: str
    share: float
    honest: float
    contribution: Confidence | None
    judged: int


def lines(spec: StudySpec, sites: Mapping[str, Site], idle: str, lying: str) -> list[Line]:
    """Both runs of a seed under every rule."""
    inputs, labels = sites[lying].train
    false = {**sites, lying: replace(sites[lying], train=(inputs, 1 - labels))}
    asked = _paid_by(spec, "tmc-shapley", ALL)
    honest, cheated = simulate_reports(asked, sites), simulate_reports(asked, false, idle=[idle])
    weights = weights_of(spec, sites)
    counts = split(POOL, weights)
    found = [
        Line(spec.seed, "count", name, _role(name, idle, lying), *[counts[i] / POOL] * 2, None, 0)
        for i, name in enumerate(sites)
    ]
    for title, config in RULES.items():
        measure = Measure.of(_paid_by(spec, title.partition(",")[0], config))
        (before, _), (after, reports) = (
            _paid(measure, run, weights, len(sites)) for run in (honest, cheated)
        )
        sure = confidences(walks(measure, reports))
        judged = {r.hospital: 0 for r in reports}
        for report in reports:
            judged[report.hospital] += len(report.evaluations)
        found += [
            Line(
                spec.seed,
                title,
                name,
                _role(name, idle, lying),
                after[i],
                before[i],
                sure.get(i),
                judged[i],
            )
            for i, name in enumerate(sites)
        ]
    return found


def _paid(
    measure: Measure, reports: Sequence[Report], weights: Mapping[int, int], count: int
) -> tuple[list[float], list[Report]]:
    """Parts of the pool by hospital, and the reports that the rule would have asked for."""
    asked = [_reported(measure, report, count) for report in reports]
    paid = by_contribution(measure, POOL, asked, weights)
    return [paid[index] / POOL for index in range(count)], asked


def _reported(measure: Measure, report: Report, count: int) -> Report:
    """Of a report on all models, what another rule asks for."""
    if not report.evaluations:
        return report
    told = {item.without: item for item in report.evaluations}
    state = report.evaluations[0].state
    plan = measure.plan(everyone(range(count)), report.round_number, state)
    walk, rows = Walk(plan, report.hospital, report.people), []
    for without in plan.judged_by(report.hospital):
        if walk.needs(without):
            walk.tell(without, told[without].loss)
            rows.append(told[without])
    return replace(report, evaluations=tuple(rows))


def _paid_by(spec: StudySpec, rule: str, config: Mapping[str, float] | None) -> StudySpec:
    settings = None if config is None else dict(config)
    return replace(spec, reward=replace(spec.reward, rule=rule, config=settings))


def _role(name: str, idle: str, lying: str) -> str:
    return {idle: "idle", lying: "flips labels"}.get(name, "honest")


def table(found: Sequence[Line]) -> str:
    """Markdown: means (least to most) over seeds; contributions of the first, with confidence."""
    rows = [
        "| Rule | Hospital | Role | Share if all are honest | Share | Contribution, nats (seed "
        f"{found[0].seed}) | Models judged, all rounds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for rule, name in dict.fromkeys((item.rule, item.hospital) for item in found):
        own = [item for item in found if (item.rule, item.hospital) == (rule, name)]
        first = own[0]
        rows.append(
            f"| {rule} | {name} | {first.role} | {_percent([x.honest for x in own])} "
            f"| {_percent([x.share for x in own])} | {_sure(first.contribution)} "
            f"| {mean(x.judged for x in own):.0f} |"
        )
    return "\n".join(rows)


def _percent(shares: Sequence[float]) -> str:
    text = f"{100 * mean(shares):.1f} %"
    if len({*shares}) == 1:
        return text
    return f"{text} ({100 * min(shares):.1f}–{100 * max(shares):.1f})"


def _sure(found: Confidence | None) -> str:
    if found is None:
        return "–"
    text = f"{found.value:+.2f}"
    if found.low is not None and found.high is not None:
        text += f" ({found.low:+.1f} to {found.high:+.1f})"
    return text + (f", orders ±{found.orders_se:.2f}" if found.orders_se else "")


def main() -> int:
    """Print a line for each rule and hospital."""
    parser = argparse.ArgumentParser(prog="python -m bench.contribution", description=__doc__)
    parser.add_argument("--study", choices=sorted(STUDIES), default="heart")
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3), help="default: 1 2 3")
    parser.add_argument("--idle", help="who returns the model as it got it")
    parser.add_argument("--lying", help="who trains on the opposite of every finding")
    parser.add_argument("--rounds", type=int, help="fewer rounds than the study's own")
    parser.add_argument("--quick", action="store_true", help="one seed, one round")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found, started = list[Line](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds[: 1 if options.quick else None]:
            spec = STUDIES[options.study](seed=seed)
            rounds = 1 if options.quick else options.rounds or spec.rounds
            spec = replace(spec, rounds=rounds)
            sites = sites_of(spec, Path(folder) / str(seed))
            idle, lying = options.idle or IDLE[spec.name], options.lying or LYING[spec.name]
            if idle == lying or not {idle, lying} <= {*sites}:
                parser.error(f"--idle and --lying are two of {', '.join(sites)}")
            found += lines(spec, sites, idle, lying)
            print(f"seed {seed}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    shown = {"study": options.study, "lines": [asdict(item) for item in found]}
    print(json.dumps(shown) if options.json else table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
