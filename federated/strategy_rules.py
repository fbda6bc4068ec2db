"""What a strategy, late updates and drawn hospitals do not go with."""

from __future__ import annotations

from federated.families import is_running
from federated.models import parameter_schema
from federated.requiring import require
from federated.spec import StudySpec
from federated.strategies import strategy_of


def check_strategy(spec: StudySpec) -> None:
    """Raise `SpecError` for the first thing that the strategy does not go with.

    `python -m federated.strategies` prints the table.
    """
    strategy = strategy_of(spec.strategy.name)
    plain = spec.strategy.digest is None and spec.strategy.tensors is None
    require(plain, "strategy", "all strategies are built in; leave digest and tensors out")
    hidden = f"{spec.mode} mode hides single updates, and {strategy.name} compares them; use open"
    require(spec.mode in strategy.modes, "mode", hidden)
    unsummed = (
        f"{spec.reward.rule} does not go with {strategy.name}, which {strategy.unpaid}; use "
        f"{' or '.join(strategy.rewards)}"
    )
    require(spec.reward.rule in strategy.rewards, "reward.rule", unsummed)
    schema = parameter_schema(spec)
    strategy.check_model(schema)
    running = any(is_running(tensor.name) for tensor in schema.tensors)
    foreign = "running statistics of one hospital mean nothing to another; use fedbn, or groups"
    require(strategy.running or not running, "model.config.normalise", foreign)
    plain = spec.training.momentum == 0 or not strategy.plain_steps
    require(plain, "training.momentum", f"{strategy.name} is defined for steps without it; set 0")
    least = strategy.least(spec.strategy.config)
    too_few = f"{strategy.name} needs at least {least} with these settings ({strategy.needs})"
    require(spec.min_hospitals >= least, "min_hospitals", too_few)


def check_late(spec: StudySpec) -> None:
    """Raise `SpecError` for what does not go with late updates.

    Where weights say nothing they cannot be discounted.
    """
    if spec.late is None:
        return
    strategy = strategy_of(spec.strategy.name)
    only = "'next-round' is the only rule; leave the section out to drop late updates"
    require(spec.late.rule == "next-round", "late.rule", only)
    require(1 <= spec.late.most <= 16, "late.most", "1 to 16 models are expected")
    masks = "masked mode drops late updates: masks cancel only among one round's hospitals"
    require(not spec.masked, "late", masks)
    unweighed = f"{strategy.name} gives no update less weight than others; leave it out"
    require(strategy.weighted, "late", unweighed)
    kept = f"{strategy.name} ties an update to what its hospital kept of its round; leave it out"
    require(not strategy.keeps, "late", kept)


def check_sampling(spec: StudySpec) -> None:
    """Raise `SpecError` unless fewer hospitals are drawn than there may be, and enough."""
    if spec.sampling is not None:
        some = "min_hospitals ≤ hospitals < max_hospitals; leave the section out to draw none"
        holds = spec.min_hospitals <= spec.sampling.hospitals < spec.max_hospitals
        require(holds, "sampling.hospitals", some)
