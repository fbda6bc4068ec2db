"""Collects a report's data: from chain and store what they show, the rest as it was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from api.report.data import (
    FORMAT,
    Audit,
    CheckGroup,
    Cleaned,
    Consents,
    Contribution,
    Failure,
    Money,
    Quality,
    ReportData,
    Share,
    Signed,
    StoreCase,
    StudyFacts,
    TaskFigures,
    Transfer,
)
from api.report.lineage import read_provenance
from chain.types import StudyId
from federated.chosen import search_table
from federated.contribution import Confidence, Measure, confidences, measured
from federated.evaluation.result import FEDERATED, Evaluation
from federated.metrics import FIGURES, Estimate, Scores
from federated.models import parameter_schema
from federated.party import Party
from federated.purposes import describe
from federated.results import LEAST_COUNT
from federated.rewards import gains, walks
from federated.signed_report import listed_reports
from federated.study import Study, read_study
from records.store import RecordStore

Tree = Mapping[str, Any]
NO_LABELS = Evaluation((), (), (), (), (), (), (), False)
"""The evaluation of a study that does not predict one of two labels."""


def gather(
    party: Party,
    number: StudyId,
    records: Mapping[str, RecordStore],
    evaluation: Evaluation,
    shown: Tree,
    figures: TaskFigures | None = None,
) -> ReportData:
    """The data of a finished study's report.

    `records` are the hospitals' stores by name, of which only counts are read, in the order of
    their index. `shown` is the object that `consilium demo --json` prints. `figures` are those of
    another task than two labels (`told.task_figures`), whose `evaluation` is `NO_LABELS`.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    names = tuple(records)
    provenance = read_provenance(party, study, names, block)
    people = [
        tuple(update.people or None for update in round_.updates) for round_ in provenance.rounds
    ]
    return ReportData(
        format=FORMAT,
        study=_study(study),
        hospitals=names,
        evaluation=evaluation,
        signed=_signed(shown["rows"], evaluation),
        consents=_consents(shown["consents"], people),
        quality=tuple(_quality(name, store) for name, store in records.items()),
        money=_money(party, study, names, shown["rewards"]),
        transfers=tuple(Transfer(**item) for item in shown["transfer"]),
        stores=tuple(StoreCase(**item) for item in shown.get("transfer_table", ())),
        audit=_audit(shown["audit"], names),
        provenance=provenance,
        search=search_table(party, study, party.head()),
        figures=figures,
    )


def _study(study: Study) -> StudyFacts:
    spec = study.spec
    negative, positive = (spec.data.label.negative or "", spec.data.label.positive or "")
    return StudyFacts(
        number=study.number,
        name=spec.name,
        title=spec.title,
        question=spec.question,
        purposes=tuple(describe(study.terms.purposes)),
        seed=spec.seed,
        model=spec.model.listed_as,
        parameters=parameter_schema(spec).size,
        features=len(spec.data.features),
        strategy=spec.strategy.name,
        mode=spec.mode,
        rounds=spec.rounds,
        outcome=spec.data.label.name,
        positive=positive,
        negative=negative,
        reward_rule=spec.reward.rule,
        after_void=spec.after_void,
        spec_digest=study.spec_digest.hex(),
    )


def _signed(rows: Sequence[Tree], evaluation: Evaluation) -> tuple[Signed, ...]:
    """Rows of the federated model that hospitals signed; a withheld hospital signed no counts."""
    withheld = {test.name for test in evaluation.tests if test.withheld}
    return tuple(
        Signed(row["test"], Scores(*(_estimate(row, name) for name in FIGURES)))
        for row in rows
        if row["computed_by"] == "hospital"
        and row["model"] == FEDERATED
        and row["test"] not in withheld
    )


def _estimate(row: Tree, name: str) -> Estimate | None:
    if row[name] is None:
        return None
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _consents(tree: Tree, people: Sequence[tuple[int | None, ...]]) -> Consents:
    return Consents(
        asked=tree["asked"],
        granted=tree["granted"],
        refused=tree["refused"],
        revoked=tree["revoked"],
        cohorts=tuple(people),
    )


def _quality(name: str, store: RecordStore) -> Quality:
    report = store.report()
    changed = Counter(change.rule.value for change in store.changes())
    cleaned = tuple(Cleaned(rule, _coarse(cells)) for rule, cells in sorted(changed.items()))
    quarantined = _coarse(report.quarantined)
    # All hospitals' rows less all patients asked would give what one of them set aside.
    rows = None if quarantined is None else report.rows
    return Quality(name, rows, quarantined, cleaned)


def _coarse(count: int) -> int | None:
    """None for 1 to 4: what so few rows have in common could tell about one."""
    return None if 0 < count < LEAST_COUNT else count


def _money(party: Party, study: Study, names: Sequence[str], tree: Tree) -> Money:
    block = party.head()
    weights, _ = party.chain.rounds.counted_weights(study.number, block_identifier=block)
    rows, found = _gains(party, study, names)
    shares = [
        Share(
            name,
            weights[index] if index < len(weights) else 0,
            _contribution(found.get(index)) if rows else None,
            tree["hospitals"].get(name, 0),
        )
        for index, name in enumerate(names)
    ]
    return Money(
        budget=tree["budget"],
        paid=tree["paid"],
        refunded=tree["refundable"],
        patients=tree["patients"]["paid"],
        patients_total=tree["patients"]["total"],
        shares=tuple(shares),
        gains=rows,
    )


def _gains(
    party: Party, study: Study, names: Sequence[str]
) -> tuple[tuple[tuple[int | None, ...], ...], dict[int, Confidence]]:
    """By reporting hospital and by the others, and their sums; empty under `count`."""
    if not measured(study.spec.reward.rule):
        return (), {}
    reports, measure = listed_reports(party, study, party.head()), Measure.of(study.spec)
    found = gains(measure, reports)
    rows = []
    for judge in range(len(names)):
        row = [found.get(judge, {}).get(index) for index in range(len(names))]
        rows.append(tuple(None if gain is None else round(gain) for gain in row))
    return tuple(rows), confidences(walks(measure, reports))


def _contribution(found: Confidence | None) -> Contribution:
    """Nobody judged who is in no report: 0, as it is paid."""
    if found is None:
        return Contribution(0.0, 0.0, None, None)
    return Contribution(found.value, found.orders_se, found.low, found.high)


def _audit(tree: Tree, names: Sequence[str]) -> Audit:
    checks = tree["checks"]
    found = Counter((check["name"], check["ok"]) for check in checks)
    order = dict.fromkeys(check["name"] for check in checks)
    failures = [
        Failure(
            check["name"],
            check["round"],
            None if check["hospital"] is None else names[check["hospital"]],
            check["detail"],
        )
        for check in checks
        if not check["ok"]
    ]
    return Audit(
        level=tree["level"],
        block=tree["block"],
        ok=tree["ok"],
        groups=tuple(CheckGroup(name, found[name, True], found[name, False]) for name in order),
        failures=tuple(failures),
    )
