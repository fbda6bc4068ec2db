"""A report's data out of generated patients: small, the same every time, rare things in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from api.report.data import (
    FORMAT,
    Audit,
    CheckGroup,
    Cleaned,
    Consents,
    Contribution,
    Money,
    Provenance,
    Quality,
    ReportData,
    RoundFacts,
    Share,
    Signed,
    StoreCase,
    StudyFacts,
    TaskFigures,
    TaskRow,
    Transfer,
    Update,
)
from api.report.gather import NO_LABELS
from federated.evaluation.figures import compare_figures
from federated.evaluation.result import Evaluation
from federated.evaluation.sites import evaluate
from federated.metrics import scores
from federated.networks import probabilities
from federated.outcome import Fate
from federated.schema import Array, Parameters
from federated.simulate import Site
from federated.spec import Label, StudySpec
from federated.studies import wisconsin_spec
from federated.tasks import task_of

HOSPITALS = ("north", "harbor", "valley", "lakeside")
SPEC: StudySpec = wisconsin_spec(seed=7)
WIDTH = 30
ROUNDS = 3


def site(number: int, size: int, positives: int, validation: int = 20) -> Site:
    """Records whose first column tells the label with some noise; the rest is noise."""
    order = np.random.default_rng(number)

    def records(count: int, of_them: int) -> tuple[Array, Array]:
        labels = np.array([1.0] * of_them + [0.0] * (count - of_them), dtype=np.float32)
        inputs = order.normal(size=(count, WIDTH)).astype(np.float32)
        inputs[:, 0] += 1.5 * labels
        return inputs, labels

    return Site(records(40, 15), records(validation, validation // 2), records(size, positives))


def parameters(strength: float, noise: int) -> Parameters:
    """A logistic model that looks at the first column so strongly, and at the others a little."""
    weight = 0.2 * np.random.default_rng(noise).normal(size=(1, WIDTH)).astype(np.float32)
    weight[0, 0] = strength
    return {"out.bias": np.array([-0.7 * strength], np.float32), "out.weight": weight}


def sites(rare: int = 3) -> dict[str, Site]:
    """Four hospitals; the last has so few positives among its test records."""
    return {
        "north": site(1, 60, 25),
        "harbor": site(2, 45, 20),
        "valley": site(3, 30, 12),
        "lakeside": site(4, 25, rare, validation=6),
    }


def models() -> dict[str, Parameters]:
    """All models of a comparison; the federated one is the best."""
    found = {"federated": parameters(2.0, 11), "centralised": parameters(2.1, 12)}
    own = {f"local:{name}": parameters(0.6, 20 + i) for i, name in enumerate(HOSPITALS)}
    return found | own


def evaluation(rare: int = 3) -> Evaluation:
    """The evaluation of these models at these hospitals."""
    states = {n: parameters(0.7 * n, 11) for n in range(ROUNDS + 1)}
    return evaluate(SPEC, sites(rare), models(), states)


def task_figures() -> TaskFigures:
    """Of three classes; the last hospital has few of one, so that neither it nor the pool shows."""
    label = Label("grade", classes=("low", "middle", "high"))
    spec = replace(SPEC, task="multiclass", data=replace(SPEC.data, label=label))
    order = np.random.default_rng(9)

    def records(*of_each: int) -> tuple[Array, Array]:
        labels = np.repeat(np.arange(3), of_each)
        inputs = order.normal(size=(len(labels), WIDTH)).astype(np.float32)
        inputs[:, 0] += labels
        return inputs, labels

    sizes = dict(zip(HOSPITALS, ((20, 20, 20), (15, 9, 8), (9, 12, 30), (9, 9, 3)), strict=True))
    sites = {name: Site(*[records(*size)] * 3) for name, size in sizes.items()}
    weight = np.zeros((3, WIDTH), np.float32)
    weight[:, 0] = (-1, 0, 1)
    model = {"out.bias": np.array([0.5, 0, -1], np.float32), "out.weight": weight}
    rows = compare_figures(spec, sites, dict.fromkeys(models(), model))
    simulated = tuple(TaskRow(x.model, x.test, dict(x.figures), x.withheld) for x in rows)
    signed = tuple(
        replace(x, people=None if x.withheld else sum(sizes[x.test]))
        for x in simulated
        if x.model == "federated" and x.test in sizes
    )
    return TaskFigures(task_of("multiclass").figures, signed, simulated)


def task_sample() -> ReportData:
    """The report of a study of three classes, whose model is an installed family."""
    facts = replace(sample().study, model=f"squares@{digest(5)}", positive="", negative="")
    return replace(sample(), study=facts, evaluation=NO_LABELS, signed=(), figures=task_figures())


def digest(number: int) -> str:
    """Sixty-four hexadecimal digits."""
    return f"{number:064x}"


def rounds() -> tuple[RoundFacts, ...]:
    """All are in; a late one and one left out; one voided after the end; one that ran out."""
    fates = (
        (Fate.INCLUDED,) * 4,
        (Fate.INCLUDED, Fate.INCLUDED, Fate.EXCLUDED, Fate.ABSENT),
        (Fate.INCLUDED, Fate.VOIDED, Fate.INCLUDED, Fate.INCLUDED),
        (Fate.SUBMITTED, Fate.FROZEN, Fate.OUTSIDE, Fate.VOIDED),
    )
    return tuple(
        RoundFacts(
            number=number,
            parent=number - 1,
            phase="finalized" if number <= ROUNDS else "lapsed",
            contaminated=number == 3,
            start_state=digest(number - 1),
            state=digest(number) if number <= ROUNDS else "",
            manifest=digest(100 + number) if number <= ROUNDS else "",
            updates=tuple(
                update(number, place, name, fate)
                for place, (name, fate) in enumerate(zip(HOSPITALS, line, strict=True))
            ),
        )
        for number, line in enumerate(fates, start=1)
    )


def update(number: int, place: int, name: str, fate: Fate) -> Update:
    """Of 50 people where it froze; in round 2 the first hospital is late by one model."""
    absent, sent = fate in (Fate.ABSENT, Fate.OUTSIDE), fate is not Fate.FROZEN
    return Update(
        hospital=name,
        fate=fate,
        people=0 if absent else 50,
        weight=0 if absent else 40,
        manifest=digest(10 * number + place) if sent and not absent else "",
        code="non-finite" if fate is Fate.EXCLUDED else "",
        included=fate is Fate.INCLUDED or (fate is Fate.VOIDED and number == 3),
        staleness=int((number, place) == (2, 0)),
        restored=False,
    )


def sample(rare: int = 3) -> ReportData:
    """The whole report's data."""
    found = evaluation(rare)
    token = 10**18
    signed = [
        Signed(name, scores(x.test[1], probabilities(models()["federated"], x.test[0], SPEC)))
        for name, x in sites(rare).items()
        if name != "lakeside"
    ]
    return ReportData(
        format=FORMAT,
        study=StudyFacts(
            number=1,
            name="sample",
            title="A study of generated patients",
            question="Can it be told?",
            purposes=("health or medical or biomedical research",),
            seed=7,
            model="logistic",
            parameters=31,
            features=30,
            strategy="fedavg",
            mode="open",
            rounds=ROUNDS,
            outcome="diagnosis",
            positive="malignant",
            negative="benign",
            reward_rule="leave-one-out",
            after_void="go-on",
            spec_digest=digest(999),
        ),
        hospitals=HOSPITALS,
        evaluation=found,
        signed=tuple(signed),
        consents=Consents(
            300, 220, 80, 2, ((60, 50, 40, 30), (60, 50, 40, None), (59, 49, 40, 30))
        ),
        quality=tuple(
            Quality(name, None, None, (Cleaned("imputed", 12),))
            if name == "valley"
            else Quality(name, 80, 0, (Cleaned("imputed", 12),))
            for name in HOSPITALS
        ),
        money=Money(
            budget=1000 * token,
            paid=600 * token,
            refunded=400 * token,
            patients=190,
            patients_total=200 * token,
            shares=tuple(
                Share(name, 120, Contribution(*found), paid * token)
                for name, found, paid in zip(
                    HOSPITALS,
                    (
                        (1.0, 0.0, -0.5, 2.5),
                        (2.0, 0.25, 1.0, 3.0),
                        (0.0,) * 4,
                        (-0.25, 0.0, None, None),
                    ),
                    (150, 250, 0, 0),
                    strict=True,
                )
            ),
            gains=((None, 131072, 0, -100), (65536, None, 0, -200), (0, 0, None, 0), (None,) * 4),
        ),
        transfers=tuple(
            Transfer("kubo-private", number, name, 412, 0.02 * number, 0.03, 0.05)
            for number in range(1, ROUNDS + 1)
            for name in HOSPITALS
        ),
        stores=(StoreCase("sealed file of 10 KiB", 10240, 5, 0.02, 0.03, 0.07, 0.08),),
        audit=Audit("keyed", 512, True, (CheckGroup("code", 1, 0), CheckGroup("root", 12, 0)), ()),
        provenance=Provenance(digest(0), rounds(), 3, digest(3)),
    )


def hostile(text: str, *names: str) -> ReportData:
    """The sample with this text wherever somebody else chooses one, and as the first names these.

    Without names the text itself is a hospital's.
    """
    data = sample(rare=10)
    moved = dict(zip(HOSPITALS, names or (text,), strict=False))

    def name(old: str) -> str:
        own = old.removeprefix("local:")
        return old[: len(old) - len(own)] + moved.get(own, own)

    found = data.evaluation
    renamed = replace(
        found,
        tests=tuple(replace(x, name=name(x.name)) for x in found.tests),
        cells=tuple(replace(x, model=name(x.model), test=name(x.test)) for x in found.cells),
        learning=tuple(replace(x, where=name(x.where)) for x in found.learning),
        rocs=tuple(replace(x, model=name(x.model), test=name(x.test)) for x in found.rocs),
        calibrations=tuple(
            replace(x, model=name(x.model), test=name(x.test)) for x in found.calibrations
        ),
        comparisons=tuple(
            replace(x, rival=name(x.rival), test=name(x.test)) for x in found.comparisons
        ),
    )
    rounds_ = tuple(
        replace(
            x, updates=tuple(replace(u, hospital=name(u.hospital), code=text) for u in x.updates)
        )
        for x in data.provenance.rounds
    )
    return replace(
        data,
        study=replace(data.study, title=text, question=text, positive=text, purposes=(text,)),
        hospitals=tuple(name(x) for x in data.hospitals),
        evaluation=renamed,
        signed=tuple(replace(x, hospital=name(x.hospital)) for x in data.signed),
        quality=tuple(replace(x, hospital=name(x.hospital)) for x in data.quality),
        money=replace(
            data.money,
            shares=tuple(replace(x, hospital=name(x.hospital)) for x in data.money.shares),
        ),
        transfers=tuple(
            replace(x, hospital=name(x.hospital), backend=text) for x in data.transfers
        ),
        provenance=replace(data.provenance, rounds=rounds_),
    )
