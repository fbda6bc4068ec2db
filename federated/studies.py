"""Studies that ship with the project, as specs to start from.

Settings were chosen on validation records inside hospitals, never on test ones. Periods are
generous for phases, which end early when all are in, and short for windows; for real patients
`rules.production_warnings` says what to lengthen. Change anything with `dataclasses.replace` and
`rules.check_spec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chain.types import Wei
from federated.codec import Address, Config
from federated.rules import check_spec
from federated.spec import (
    FORMAT,
    Auditor,
    Choice,
    Data,
    Feature,
    GridTerms,
    Label,
    Phases,
    Reward,
    Split,
    StudySpec,
    Terms,
    Training,
)

_LENGTH = "[arb'U]"  # UCUM for an arbitrary unit: the images' scale was not published
_AREA = "[arb'U]2"

# measure: unit, then the plausible range of a nucleus' mean, of its standard error, of the worst
_NUCLEI: dict[str, tuple[str, tuple[float, float], float, tuple[float, float]]] = {
    "radius": (_LENGTH, (5.0, 30.0), 3.0, (5.0, 40.0)),
    "texture": ("1", (5.0, 45.0), 6.0, (5.0, 55.0)),
    "perimeter": (_LENGTH, (30.0, 200.0), 25.0, (30.0, 270.0)),
    "area": (_AREA, (80.0, 2800.0), 600.0, (80.0, 5000.0)),
    "smoothness": ("1", (0.04, 0.18), 0.04, (0.05, 0.25)),
    "compactness": ("1", (0.0, 0.4), 0.15, (0.0, 1.2)),
    "concavity": ("1", (0.0, 0.5), 0.4, (0.0, 1.4)),
    "concave_points": ("1", (0.0, 0.25), 0.06, (0.0, 0.32)),
    "symmetry": ("1", (0.08, 0.35), 0.09, (0.1, 0.7)),
    "fractal_dimension": ("1", (0.04, 0.11), 0.035, (0.04, 0.22)),
}

_TOKEN = 10**18


def wisconsin_features() -> tuple[Feature, ...]:
    """The 30 measurements of cell nuclei in a fine needle aspirate, in the data set's order."""
    means, errors, worsts = [], [], []
    for name, (unit, mean, error, worst) in _NUCLEI.items():
        means.append(Feature(f"mean_{name}", unit, *mean))
        errors.append(Feature(f"{name}_error", unit, 0.0, error))
        worsts.append(Feature(f"worst_{name}", unit, *worst))
    return (*means, *errors, *worsts)


def wisconsin_spec(
    *,
    auditors: Sequence[Address] = (),
    seed: int = 1,
    hospitals: int = 4,
    rounds: int = 5,
    min_hospitals: int = 3,
    family: str = "logistic",
) -> StudySpec:
    """Is a breast mass malignant? `family` is "logistic" or "mlp" (16 hidden units).

    Settings: pooled validation log loss over five seeds.
    """
    config = {"hidden": [16]} if family == "mlp" else {}
    spec = StudySpec(
        format=FORMAT,
        name="wisconsin",
        title="Malignancy of breast masses",
        question="Can a model learned across hospitals tell malignant from benign breast masses "
        "by the cell nuclei in a fine needle aspirate?",
        purposes=("DUO:0000006",),
        task="binary",
        mode="open",
        seed=seed,
        rounds=rounds,
        min_hospitals=min(min_hospitals, hospitals),
        max_hospitals=hospitals,
        data=Data(
            dictionary="wisconsin-breast-cancer/1",
            features=wisconsin_features(),
            label=Label("diagnosis", "malignant", "benign"),
        ),
        split=Split(validation=0.15, test=0.25),
        model=Choice(family, config),
        strategy=Choice("fedavg"),
        training=_WISCONSIN_TRAINING[family],
        grid=GridTerms(clip_norm=10.0, grid_bits=24, max_weight=4096),
        phases=Phases(freeze_s=600, submit_s=900, unmask_s=0, finalize_s=900),
        terms=_TERMS,
        reward=Reward("count", Wei(1000 * _TOKEN), Wei(400 * _TOKEN), Wei(10 * _TOKEN)),
        auditors=tuple(Auditor(address) for address in auditors),
        auditor_quorum=len(auditors) // 2 + 1 if auditors else 0,
    )
    check_spec(spec)
    return spec


_HEART: dict[str, tuple[str, float, float]] = {
    "age": ("a", 20.0, 90.0),
    "sex": ("1", 0.0, 1.0),  # 1 male
    "cp": ("1", 1.0, 4.0),  # chest pain: typical, atypical, other, none
    "trestbps": ("mm[Hg]", 80.0, 200.0),
    "chol": ("mg/dL", 85.0, 410.0),
    "fbs": ("1", 0.0, 1.0),  # fasting blood sugar above 120 mg/dL
    "restecg": ("1", 0.0, 2.0),
    "thalach": ("/min", 70.0, 210.0),
    "exang": ("1", 0.0, 1.0),
    "oldpeak": ("mm", 0.0, 4.0),  # ST depression at 10 mm/mV
    "slope": ("1", 1.0, 3.0),
    "ca": ("1", 0.0, 3.0),  # vessels coloured by fluoroscopy
    "thal": ("1", 3.0, 7.0),  # 3 normal, 6 fixed defect, 7 reversible defect
}


def heart_spec(*, auditors: Sequence[Address] = (), seed: int = 1) -> StudySpec:
    """Is a coronary artery narrowed? Four real hospitals and their 13 common fields.

    Settings: pooled validation log loss over five seeds.
    """
    base = wisconsin_spec(auditors=auditors, seed=seed)
    features = tuple(Feature(name, *terms) for name, terms in _HEART.items())
    spec = replace(
        base,
        name="heart",
        title="Narrowing of coronary arteries",
        question="Can a model learned across four hospitals tell from 13 findings whether an "
        "angiogram shows a coronary artery narrowed by more than half?",
        rounds=6,
        data=Data("uci-heart-disease/1", features, Label("disease", "yes", "no")),
        split=Split(validation=0.15, test=0.34),
        training=Training(3, 16, learning_rate=0.01, momentum=0.9, weight_decay=0.03),
        reward=replace(base.reward, rule=_rule(auditors), budget_wei=Wei(1600 * _TOKEN)),
    )
    check_spec(spec)
    return spec


def pneumonia_spec(*, auditors: Sequence[Address] = (), seed: int = 1) -> StudySpec:
    """Does a child's chest X-ray show pneumonia? A CNN of 95,737 parameters.

    The official test images are held out in the hospitals' files, so the split takes none for
    testing. Settings: validation log loss on seeds 11 to 13, docs/model-selection.md.
    """
    base = wisconsin_spec(auditors=auditors, seed=seed, hospitals=5)
    image = Feature("xray", "1", 0.0, 255.0, (28, 28))
    spec = replace(
        base,
        name="pneumonia",
        title="Pneumonia in chest X-rays of children",
        question="Can a network learned across five hospitals, whose patients differ, tell "
        "pneumonia from normal lungs by a chest X-ray of 28 by 28 pixels?",
        rounds=10,
        data=Data("pneumonia-mnist/1", (image,), Label("finding", "pneumonia", "normal")),
        split=Split(validation=0.1, test=0.0),
        model=Choice("cnn", dict(_XRAY_NETWORK)),
        training=Training(2, 16, learning_rate=0.03, momentum=0.9, weight_decay=0.0005),
        grid=GridTerms(clip_norm=20.0, grid_bits=24, max_weight=8192),
        terms=replace(_TERMS, max_patients=8192),
        reward=replace(base.reward, rule=_rule(auditors), budget_wei=Wei(12_000 * _TOKEN)),
    )
    check_spec(spec)
    return spec


def _rule(auditors: Sequence[Address]) -> str:
    """Contribution where somebody can check it."""
    return "leave-one-out" if auditors else "count"


_XRAY_NETWORK: Config = {
    "channels": [8, 24, 48],
    "kernel": 3,
    "groups": 4,
    "hidden": 192,
    "standardise": True,
    "vary": {"shift": 2, "zoom": 0.1, "exposure": 0.3},
}

_WISCONSIN_TRAINING = {
    "logistic": Training(20, 16, learning_rate=0.1, momentum=0.9, weight_decay=0.001),
    "mlp": Training(20, 16, learning_rate=0.03, momentum=0.9, weight_decay=0.001),
}

_TERMS = Terms(
    end_by_s=86400,
    settle_s=86400 + 3600,
    challenge_s=86400 + 3 * 3600,
    claim_s=86400 + 6 * 3600,
    refund_s=86400 + 7 * 3600,
    answer_s=1800,
    demand_deposit_wei=Wei(_TOKEN),
    max_demands=64,
    max_patients=1000,
)
