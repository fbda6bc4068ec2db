"""Which study specs are refused, and which are only unusual.

Each rule names the key that breaks it. The contract enforces the order of periods and the modes'
numbers again; what it cannot know (ring, model, purposes) is enforced here alone, by every role.
"""

from __future__ import annotations

import re
from dataclasses import replace

from federated import purposes
from federated.contribution import check_reward, measured
from federated.errors import SpecError
from federated.grid import Grid
from federated.models import parameter_schema
from federated.period_rules import check_times
from federated.requiring import UINT32, require
from federated.search import settings
from federated.search_rules import check_search
from federated.spec import FORMAT, StudySpec
from federated.strategies import strategy_of
from federated.strategy_rules import check_late, check_sampling, check_strategy
from federated.tasks import task_of


def check_spec(spec: StudySpec) -> None:
    """Raise `SpecError` for the first rule that the spec breaks."""
    _check_words(spec)
    _check_data(spec)
    _check_learning(spec)
    _check_hospitals(spec)
    _check_ring(spec)
    check_times(spec)
    _check_money(spec)
    check_strategy(spec)
    check_late(spec)
    check_sampling(spec)
    _check_search(spec)


def ring_bits(spec: StudySpec) -> int:
    """Bits of the ring that holds every weighted sum: 64 in open mode, else the smaller of 32, 64.

    A coordinate of the sum is at most hospitals · weight · B in magnitude.
    """
    bound = spec.max_hospitals * spec.grid.max_weight * Grid.of(spec.grid).bound
    for bits in (32, 64) if spec.masked else (64,):
        if bound < 1 << (bits - 1):
            return bits
    raise SpecError(
        "grid",
        "max_hospitals · max_weight · clip_norm · 2^grid_bits must stay below 2^63; lower one",
    )


def _check_words(spec: StudySpec) -> None:
    require(spec.format == FORMAT, "format", f"{FORMAT!r} is expected")
    name_rule = "1 to 64 of a-z, 0-9 and '-' are expected"
    require(bool(re.fullmatch("[a-z0-9-]{1,64}", spec.name)), "name", name_rule)
    require(0 < len(spec.title) <= 200, "title", "1 to 200 characters are expected")
    require(0 < len(spec.question) <= 2000, "question", "1 to 2000 characters are expected")
    task_of(spec.task)
    require(spec.mode in ("open", "masked"), "mode", "'open' or 'masked' is expected")
    require(
        spec.after_void in ("go-on", "go-back"), "after_void", "'go-on' or 'go-back' is expected"
    )
    known = {*purposes.PERMISSIONS, *purposes.RESTRICTIONS}
    for code in spec.purposes:
        require(code in known, "purposes", f"{code[:20]!r} is no DUO code that studies can name")
    require(
        list(spec.purposes) == sorted(set(spec.purposes)), "purposes", "sort codes, name each once"
    )
    purposes.study_bitmap(spec.purposes)


def _check_data(spec: StudySpec) -> None:
    data = spec.data
    names = [feature.name for feature in data.features] + [data.label.name]
    require(0 < len(data.features) <= 4096, "data.features", "1 to 4096 features are expected")
    require(len(set(names)) == len(names), "data.features", "two columns have one name")
    require(
        all(0 < len(name) <= 100 for name in names), "data.features", "a name is empty or too long"
    )
    task_of(spec.task).check(spec)
    for i, feature in enumerate(data.features):
        key = f"data.features[{i}]"
        require(feature.minimum < feature.maximum, key, "minimum must be below maximum")
        sizes = all(0 < size <= 65536 for size in feature.shape) and len(feature.shape) <= 3
        require(sizes, key, "a shape has at most 3 sizes from 1 to 65536")
        require(not feature.shape or len(data.features) == 1, key, "an image is the only feature")
    scalars = {feature.name for feature in data.features if not feature.shape}
    for i, criterion in enumerate(data.eligibility):
        key = f"data.eligibility[{i}]"
        require(criterion.field in scalars, key, "field must be a feature that is one number")
        require(criterion.minimum <= criterion.maximum, key, "minimum must not exceed maximum")
    held_out = spec.split.validation + spec.split.test
    parts = min(spec.split.validation, spec.split.test) >= 0 and held_out <= 0.9
    require(parts, "split", "fractions are ≥ 0 and leave at least a tenth for training")


def _check_learning(spec: StudySpec) -> None:
    parameter_schema(spec)
    strategy_of(spec.strategy.name).check(spec.strategy.config)
    training = spec.training
    require(0 <= spec.seed < 1 << 63, "seed", "a whole number in [0, 2^63) is expected")
    require(1 <= spec.rounds <= 256, "rounds", "1 to 256 are expected")
    require(1 <= training.epochs <= 1000, "training.epochs", "1 to 1000 are expected")
    if training.updates is not None:
        require(1 <= training.updates <= 100_000, "training.updates", "1 to 100000 are expected")
        require(training.epochs == 1, "training.epochs", "1 is expected beside updates")
    require(1 <= training.batch_size <= 65536, "training.batch_size", "1 to 65536 are expected")
    require(training.learning_rate > 0, "training.learning_rate", "must be above 0")
    require(0 <= training.momentum < 1, "training.momentum", "must lie in [0, 1)")
    require(training.weight_decay >= 0, "training.weight_decay", "must not be negative")


def _check_hospitals(spec: StudySpec) -> None:
    k, most = spec.min_hospitals, spec.max_hospitals
    require(1 <= k <= most <= 256, "min_hospitals", "1 ≤ min_hospitals ≤ max_hospitals ≤ 256")
    if spec.masked:
        require(k >= 3, "min_hospitals", "masked mode needs at least 3")
        require(2 * spec.threshold > most, "threshold", "masked mode: above half of max_hospitals")
        require(k >= spec.threshold, "threshold", "masked mode: at most min_hospitals")
    else:
        require(spec.threshold == 0, "threshold", "open mode has none; set it to 0")


def _check_ring(spec: StudySpec) -> None:
    grid = spec.grid
    require(0 < grid.clip_norm <= 1e9, "grid.clip_norm", "must lie in (0, 1e9]")
    require(0 <= grid.grid_bits <= 40, "grid.grid_bits", "0 to 40 are expected")
    require(1 <= grid.max_weight <= UINT32, "grid.max_weight", "1 to 2^32 − 1 are expected")
    require(Grid.of(grid).bound >= 1, "grid.grid_bits", "the clip norm is below a step; raise it")
    ring_bits(spec)


def _check_money(spec: StudySpec) -> None:
    reward, auditors = spec.reward, spec.auditors
    require(reward.hospitals_wei <= reward.budget_wei, "reward.hospitals_wei", "exceeds the budget")
    check_reward(reward, spec.max_hospitals)
    require(len(auditors) <= 16, "auditors", "at most 16 are expected")
    require(len(set(auditors)) == len(auditors), "auditors", "one is named twice")
    if measured(rule := reward.rule):
        require(not spec.masked, "reward.rule", f"{rule}: masked mode hides updates; use count")
        require(bool(auditors), "auditors", f"{rule} needs one who can check it")
        require(spec.split.validation > 0, "split.validation", f"{rule} needs some")
    quorum = 1 <= spec.auditor_quorum <= len(auditors) if auditors else spec.auditor_quorum == 0
    require(quorum, "auditor_quorum", "1 to the number of auditors, 0 without any")


def _check_search(spec: StudySpec) -> None:
    """The search itself, and the study as each of its candidates would have it."""
    check_search(spec)
    for place, one in enumerate(settings(spec) if spec.search else ()):
        try:
            check_spec(replace(one, search=None))
        except SpecError as exc:
            where = f"search.candidates[{place}]"
            raise SpecError(where, f"with it the study breaks a rule: {exc}") from exc
