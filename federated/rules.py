"""Which study specs are refused, and which are only unusual.

Each rule names the key that breaks it. The contract enforces the order of periods and the modes'
numbers again; what it cannot know (ring, model, purposes) is enforced here alone, by every role.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import fields, replace

from federated import purposes
from federated.contribution import check_reward, measured
from federated.errors import SpecError
from federated.families import is_running
from federated.grid import Grid
from federated.models import parameter_schema
from federated.search import settings
from federated.search_rules import check_search
from federated.spec import FORMAT, StudySpec
from federated.strategies import strategy_of
from federated.tasks import task_of

_UINT32 = (1 << 32) - 1


def check_spec(spec: StudySpec) -> None:
    """Raise `SpecError` for the first rule that the spec breaks."""
    _check_words(spec)
    _check_data(spec)
    _check_learning(spec)
    _check_hospitals(spec)
    _check_ring(spec)
    _check_times(spec)
    _check_money(spec)
    _check_strategy(spec)
    _check_late(spec)
    _check_sampling(spec)
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


def production_warnings(spec: StudySpec) -> list[str]:
    """What is allowed but too short or too small for real patients, one sentence each."""
    found = []
    least = {"freeze_s": 3600, "submit_s": 3600, "finalize_s": 3600}
    if spec.masked:
        least["unmask_s"] = 3600
    for name, seconds in least.items():
        if getattr(spec.phases, name) < seconds:
            found.append(
                f"phases.{name} is below {seconds} s: a hospital that restarts may miss it"
            )
    for before, after in itertools.pairwise(_ENDS):
        if getattr(spec.terms, after) - getattr(spec.terms, before) < 7 * 86400:
            found.append(f"terms.{after} is less than 7 days after {before}")
    if spec.terms.answer_s < 86400:
        found.append("terms.answer_s is below one day: hospitals may miss a demand")
    if not spec.auditors:
        found.append("auditors is empty: nobody but the center can recompute an aggregate")
    return found


_ENDS = ("end_by_s", "settle_s", "challenge_s", "claim_s", "refund_s")


def _require(holds: bool, key: str, message: str) -> None:
    if not holds:
        raise SpecError(key, message)


def _check_words(spec: StudySpec) -> None:
    _require(spec.format == FORMAT, "format", f"{FORMAT!r} is expected")
    name_rule = "1 to 64 of a-z, 0-9 and '-' are expected"
    _require(bool(re.fullmatch("[a-z0-9-]{1,64}", spec.name)), "name", name_rule)
    _require(0 < len(spec.title) <= 200, "title", "1 to 200 characters are expected")
    _require(0 < len(spec.question) <= 2000, "question", "1 to 2000 characters are expected")
    task_of(spec.task)
    _require(spec.mode in ("open", "masked"), "mode", "'open' or 'masked' is expected")
    _require(
        spec.after_void in ("go-on", "go-back"), "after_void", "'go-on' or 'go-back' is expected"
    )
    known = {*purposes.PERMISSIONS, *purposes.RESTRICTIONS}
    for code in spec.purposes:
        _require(code in known, "purposes", f"{code[:20]!r} is no DUO code that studies can name")
    _require(
        list(spec.purposes) == sorted(set(spec.purposes)), "purposes", "sort codes, name each once"
    )
    purposes.study_bitmap(spec.purposes)


def _check_data(spec: StudySpec) -> None:
    data = spec.data
    names = [feature.name for feature in data.features] + [data.label.name]
    _require(0 < len(data.features) <= 4096, "data.features", "1 to 4096 features are expected")
    _require(len(set(names)) == len(names), "data.features", "two columns have one name")
    _require(
        all(0 < len(name) <= 100 for name in names), "data.features", "a name is empty or too long"
    )
    task_of(spec.task).check(spec)
    for i, feature in enumerate(data.features):
        key = f"data.features[{i}]"
        _require(feature.minimum < feature.maximum, key, "minimum must be below maximum")
        sizes = all(0 < size <= 65536 for size in feature.shape) and len(feature.shape) <= 3
        _require(sizes, key, "a shape has at most 3 sizes from 1 to 65536")
        _require(not feature.shape or len(data.features) == 1, key, "an image is the only feature")
    scalars = {feature.name for feature in data.features if not feature.shape}
    for i, criterion in enumerate(data.eligibility):
        key = f"data.eligibility[{i}]"
        _require(criterion.field in scalars, key, "field must be a feature that is one number")
        _require(criterion.minimum <= criterion.maximum, key, "minimum must not exceed maximum")
    held_out = spec.split.validation + spec.split.test
    parts = min(spec.split.validation, spec.split.test) >= 0 and held_out <= 0.9
    _require(parts, "split", "fractions are ≥ 0 and leave at least a tenth for training")


def _check_learning(spec: StudySpec) -> None:
    parameter_schema(spec)
    strategy_of(spec.strategy.name).check(spec.strategy.config)
    training = spec.training
    _require(0 <= spec.seed < 1 << 63, "seed", "a whole number in [0, 2^63) is expected")
    _require(1 <= spec.rounds <= 256, "rounds", "1 to 256 are expected")
    _require(1 <= training.epochs <= 1000, "training.epochs", "1 to 1000 are expected")
    if training.updates is not None:
        _require(1 <= training.updates <= 100_000, "training.updates", "1 to 100000 are expected")
        _require(training.epochs == 1, "training.epochs", "1 is expected beside updates")
    _require(1 <= training.batch_size <= 65536, "training.batch_size", "1 to 65536 are expected")
    _require(training.learning_rate > 0, "training.learning_rate", "must be above 0")
    _require(0 <= training.momentum < 1, "training.momentum", "must lie in [0, 1)")
    _require(training.weight_decay >= 0, "training.weight_decay", "must not be negative")


def _check_hospitals(spec: StudySpec) -> None:
    k, most = spec.min_hospitals, spec.max_hospitals
    _require(1 <= k <= most <= 256, "min_hospitals", "1 ≤ min_hospitals ≤ max_hospitals ≤ 256")
    if spec.masked:
        _require(k >= 3, "min_hospitals", "masked mode needs at least 3")
        _require(2 * spec.threshold > most, "threshold", "masked mode: above half of max_hospitals")
        _require(k >= spec.threshold, "threshold", "masked mode: at most min_hospitals")
    else:
        _require(spec.threshold == 0, "threshold", "open mode has none; set it to 0")


def _check_ring(spec: StudySpec) -> None:
    grid = spec.grid
    _require(0 < grid.clip_norm <= 1e9, "grid.clip_norm", "must lie in (0, 1e9]")
    _require(0 <= grid.grid_bits <= 40, "grid.grid_bits", "0 to 40 are expected")
    _require(1 <= grid.max_weight <= _UINT32, "grid.max_weight", "1 to 2^32 − 1 are expected")
    _require(Grid.of(grid).bound >= 1, "grid.grid_bits", "the clip norm is below a step; raise it")
    ring_bits(spec)


def _check_times(spec: StudySpec) -> None:
    phases, terms = spec.phases, spec.terms
    for item in fields(phases):
        seconds = getattr(phases, item.name)
        least = 0 if item.name == "unmask_s" else 1
        _require(least <= seconds <= _UINT32, f"phases.{item.name}", f"{least} to 2^32 − 1 seconds")
    unmask = "seconds in masked mode, 0 in open mode"
    _require((phases.unmask_s > 0) == spec.masked, "phases.unmask_s", unmask)
    length = sum(getattr(phases, item.name) for item in fields(phases))
    _require(terms.end_by_s >= length, "terms.end_by_s", "the study ends before one round can")
    for before, after in itertools.pairwise(_ENDS):
        key = f"terms.{after}"
        _require(getattr(terms, before) < getattr(terms, after), key, f"must come after {before}")
    _require(terms.refund_s < 1 << 40, "terms.refund_s", "is too far away")
    _require(1 <= terms.answer_s <= _UINT32, "terms.answer_s", "1 to 2^32 − 1 seconds")
    answer = "demands must fit between settle_s and challenge_s; shorten it"
    _require(terms.answer_s < terms.challenge_s - terms.settle_s, "terms.answer_s", answer)
    _require(1 <= terms.max_demands < 1 << 16, "terms.max_demands", "1 to 65535 are expected")
    _require(1 <= terms.max_patients <= _UINT32, "terms.max_patients", "1 to 2^32 − 1 are expected")


def _check_money(spec: StudySpec) -> None:
    reward, auditors = spec.reward, spec.auditors
    _require(
        reward.hospitals_wei <= reward.budget_wei, "reward.hospitals_wei", "exceeds the budget"
    )
    check_reward(reward, spec.max_hospitals)
    _require(len(auditors) <= 16, "auditors", "at most 16 are expected")
    _require(len(set(auditors)) == len(auditors), "auditors", "one is named twice")
    if measured(rule := reward.rule):
        _require(not spec.masked, "reward.rule", f"{rule}: masked mode hides updates; use count")
        _require(bool(auditors), "auditors", f"{rule} needs one who can check it")
        _require(spec.split.validation > 0, "split.validation", f"{rule} needs some")
    quorum = 1 <= spec.auditor_quorum <= len(auditors) if auditors else spec.auditor_quorum == 0
    _require(quorum, "auditor_quorum", "1 to the number of auditors, 0 without any")


def _check_strategy(spec: StudySpec) -> None:
    """What a strategy does not go with; `python -m federated.strategies` prints the table."""
    strategy = strategy_of(spec.strategy.name)
    plain = spec.strategy.digest is None and spec.strategy.tensors is None
    _require(plain, "strategy", "all strategies are built in; leave digest and tensors out")
    hidden = f"{spec.mode} mode hides single updates, and {strategy.name} compares them; use open"
    _require(spec.mode in strategy.modes, "mode", hidden)
    unsummed = (
        f"{spec.reward.rule} does not go with {strategy.name}, which {strategy.unpaid}; use "
        f"{' or '.join(strategy.rewards)}"
    )
    _require(spec.reward.rule in strategy.rewards, "reward.rule", unsummed)
    schema = parameter_schema(spec)
    strategy.check_model(schema)
    running = any(is_running(tensor.name) for tensor in schema.tensors)
    foreign = "running statistics of one hospital mean nothing to another; use fedbn, or groups"
    _require(strategy.running or not running, "model.config.normalise", foreign)
    plain = spec.training.momentum == 0 or not strategy.plain_steps
    _require(plain, "training.momentum", f"{strategy.name} is defined for steps without it; set 0")
    least = strategy.least(spec.strategy.config)
    too_few = f"{strategy.name} needs at least {least} with these settings ({strategy.needs})"
    _require(spec.min_hospitals >= least, "min_hospitals", too_few)


def _check_late(spec: StudySpec) -> None:
    """What does not go with late updates: where weights say nothing they cannot be discounted."""
    if spec.late is None:
        return
    strategy = strategy_of(spec.strategy.name)
    only = "'next-round' is the only rule; leave the section out to drop late updates"
    _require(spec.late.rule == "next-round", "late.rule", only)
    _require(1 <= spec.late.most <= 16, "late.most", "1 to 16 models are expected")
    masks = "masked mode drops late updates: masks cancel only among one round's hospitals"
    _require(not spec.masked, "late", masks)
    unweighed = f"{strategy.name} gives no update less weight than others; leave it out"
    _require(strategy.weighted, "late", unweighed)
    kept = f"{strategy.name} ties an update to what its hospital kept of its round; leave it out"
    _require(not strategy.keeps, "late", kept)


def _check_sampling(spec: StudySpec) -> None:
    if spec.sampling is not None:
        some = "min_hospitals ≤ hospitals < max_hospitals; leave the section out to draw none"
        holds = spec.min_hospitals <= spec.sampling.hospitals < spec.max_hospitals
        _require(holds, "sampling.hospitals", some)


def _check_search(spec: StudySpec) -> None:
    """The search itself, and the study as each of its candidates would have it."""
    check_search(spec)
    for place, one in enumerate(settings(spec) if spec.search else ()):
        try:
            check_spec(replace(one, search=None))
        except SpecError as exc:
            where = f"search.candidates[{place}]"
            raise SpecError(where, f"with it the study breaks a rule: {exc}") from exc
