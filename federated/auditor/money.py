"""Money: every price once and to a cohort's consents, every share by the rule, nothing made."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chain.errors import LogsDisagree
from chain.studies import RewardRule
from chain.types import Address, BlockNumber, RoundNumber
from federated.auditor.cohorts import Consents
from federated.auditor.restored import check_restored
from federated.auditor.verdict import Checks, Place
from federated.errors import RewardError
from federated.party import Party
from federated.rewards import split
from federated.shares import posted_shares, shares_by_rule, shares_tree
from federated.study import Study


def check_money(
    party: Party,
    study: Study,
    block: BlockNumber,
    consents: Consents,
    refused: Collection[bytes],
    checks: Checks,
) -> None:
    """Recompute what the escrow owes and compare it with what it paid.

    `refused` are digests of listed reports that count for nothing.
    """
    _check_patients(party, study, block, consents, checks)
    check_restored(party, study, block, checks)
    weights = _check_weights(party, study, block, checks)
    _check_hospitals(party, study, block, weights, refused, checks)
    _check_sum(party, study, block, checks)


def _check_patients(
    party: Party, study: Study, block: BlockNumber, consents: Consents, checks: Checks
) -> None:
    due, all_known = _due(party, study, block, consents)
    unanswered = _unanswered(study, consents)
    seen: set[bytes] = set()
    open_ = ""
    for event in party.chain.escrow.patients_paid(study.number, to_block=block):
        tier = consents.tiers.get(event.agreement)
        fair = tier is not None and event.amount == tier.price and event.id not in seen
        placed = event.id in due or (tier is not None and tier.hospital in consents.unlisted)
        seen.add(event.id)
        if fair and placed:
            continue
        detail = f"agreement {event.agreement}: a price that is not due, or twice"
        if fair and not all_known:
            detail = "a cohort that pays is unknown; get its list of leaves, or ask another node"
        if not (fair and tier is not None and tier.hospital in unanswered):
            checks.add("patient-payments", False, detail)
            return
        open_ = open_ or detail  # a later payment may be wrong whoever is silent
    if open_:
        checks.cannot("patient-payments", open_)
    else:
        checks.add("patient-payments", True)


def _unanswered(study: Study, consents: Consents) -> set[Address]:
    """Hospitals of which a cohort may hold an id that nobody can look for now."""
    return {study.hospitals[index] for _, index in consents.unanswered}


def _due(
    party: Party, study: Study, block: BlockNumber, consents: Consents
) -> tuple[frozenset[bytes], bool]:
    """The ids in all cohorts that pay, and whether every such cohort is known."""
    due: frozenset[bytes] = frozenset()
    all_known = True
    for number, mask in _paying_hospitals(party, study, block).items():
        for hospital in range(len(study.hospitals)):
            if mask >> hospital & 1:
                all_known &= (number, hospital) in consents.cohorts
                due |= consents.cohorts.get((number, hospital), frozenset())
    return due, all_known


def _paying_hospitals(party: Party, study: Study, block: BlockNumber) -> dict[int, int]:
    """By round that pays its patients: one bit per hospital that submitted."""
    rounds, found = party.chain.rounds, {}
    for number in range(1, rounds.count(study.number, block_identifier=block) + 1):
        place = RoundNumber(number)
        if rounds.pays(study.number, place, block_identifier=block):
            round_ = rounds.round(study.number, place, block_identifier=block)
            found[number] = round_.submitted
    return found


def _check_weights(
    party: Party, study: Study, block: BlockNumber, checks: Checks
) -> dict[int, int]:
    """Weights by the `count` rule, from the freezes of finalized and lapsed rounds.

    A hospital that auditors restored counts as if it had been included.
    """
    rounds = party.chain.rounds
    weights = dict.fromkeys(range(len(study.hospitals)), 0)
    for number in range(1, rounds.count(study.number, block_identifier=block) + 1):
        place = RoundNumber(number)
        round_ = rounds.round(study.number, place, block_identifier=block)
        restored = rounds.restored(study.number, place, block_identifier=block)
        counted = round_.included | restored if round_.finalized else 0
        if round_.lapsed and round_.reached:
            counted = round_.submitted & ~_voided_in_time(party, study, number, block)
        for event in rounds.freezes(study.number, place, to_block=block):
            if counted >> event.freeze.hospital & 1:
                weights[event.freeze.hospital] += event.freeze.weight
    held, total = rounds.counted_weights(study.number, block_identifier=block)
    same = {index: weight == held[index] for index, weight in weights.items()}
    for index in sorted(index for index, ok in same.items() if not ok):
        detail = f"counted {held[index]}, the freezes give {weights[index]}"
        checks.add("counted-weights", False, detail, Place(None, index))
    if all(same.values()):
        checks.add("counted-weights", total == sum(held), "not the sum of the weights")
    return weights


def _voided_in_time(party: Party, study: Study, number: int, block: BlockNumber) -> int:
    lapses = party.chain.rounds.lapses(study.number, to_block=block)
    lapse = next((event for event in lapses if event.round == number), None)
    if lapse is None:
        raise LogsDisagree(
            f"study {study.number}: round {number} has lapsed, and the node's logs do not show it: "
            "it lies or is out of step; ask another"
        )
    return sum(
        1 << void.index
        for void in party.chain.rounds.voids(study.number, to_block=block)
        if void.round == number and (void.block, void.log_index) < (lapse.block, lapse.log_index)
    )


def _check_hospitals(
    party: Party,
    study: Study,
    block: BlockNumber,
    weights: dict[int, int],
    refused: Collection[bytes],
    checks: Checks,
) -> None:
    found = Checks()
    due = _due_hospitals(party, study, block, weights, refused, found)
    checks.found += found.found
    barred = party.chain.rounds.barred(study.number, block_identifier=block)
    for event in party.chain.escrow.hospitals_paid(study.number, to_block=block):
        at, is_barred = Place(None, event.index), bool(barred >> event.index & 1)
        if due is not None or is_barred:  # who is barred gets nothing, whatever the shares are
            amount = due.get(event.index, 0) if due is not None and not is_barred else 0
            detail = f"paid {event.amount}, due {amount}"
            checks.add("hospital-share", event.amount == amount, detail, at)
        elif any(check.unanswered for check in found.found):
            detail = f"paid {event.amount}, and what is due cannot be computed now"
            checks.cannot("hospital-share", detail, at)


def _due_hospitals(
    party: Party,
    study: Study,
    block: BlockNumber,
    weights: dict[int, int],
    refused: Collection[bytes],
    checks: Checks,
) -> Mapping[int, int] | None:
    """The hospitals' shares, held against a posted root; None where they cannot be computed."""
    posted = party.chain.escrow.reward_root(study.number, block_identifier=block)
    if study.terms.rule is not RewardRule.CONTRIBUTION or not any(posted.root) or posted.rejected:
        return _by_count(study, weights)
    due: list[Mapping[int, int]] = []
    with checks.guarded("reward-root"):
        due.append(shares_by_rule(party, study, weights, block, refused))
        _check_root(party, study, posted.root, due[0], checks)
    return due[0] if due else None


def _by_count(study: Study, weights: Mapping[int, int]) -> Mapping[int, int]:
    try:
        return split(study.terms.hospital_pool, weights)
    except RewardError:
        return {}


def _check_root(
    party: Party, study: Study, root: bytes, due: Mapping[int, int], checks: Checks
) -> None:
    """Name each hospital whose posted share is wrong, as far as the center published its list."""
    ok = root == shares_tree(study.number, due).root
    checks.add("reward-root", ok, "not the shares that the reports and weights give")
    posted = None if ok else posted_shares(party.store, study.number, root)
    for index in sorted(due.keys() | posted.keys()) if posted is not None else ():
        have, want = posted.get(index, 0) if posted else 0, due.get(index, 0)
        checks.add("posted-share", have == want, f"posted {have}, due {want}", Place(None, index))


def _check_sum(party: Party, study: Study, block: BlockNumber, checks: Checks) -> None:
    escrow = party.chain.escrow
    account = escrow.account(study.number, block_identifier=block)
    patients = sum(e.amount for e in escrow.patients_paid(study.number, to_block=block))
    hospitals = sum(e.amount for e in escrow.hospitals_paid(study.number, to_block=block))
    refunds = sum(e.amount for e in escrow.refunds(study.number, to_block=block))
    funded = sum(e.amount for e in escrow.fundings(study.number, to_block=block))
    ok = (patients, hospitals, refunds, funded) == (
        account.paid_patients,
        account.paid_hospitals,
        account.refunded,
        account.funded,
    )
    checks.add("payments", ok, "the escrow's account is not the sum of its events")
    out = patients + hospitals + refunds
    budget = study.spec.reward.budget_wei
    checks.add("budget", funded >= budget, f"{funded} came in, the spec's budget is {budget}")
    checks.add("escrow-sum", out <= funded, f"{out} left the escrow, {funded} came in")
