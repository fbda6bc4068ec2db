"""Gas of single transactions against the committed figures: a change shows in the diff."""

from __future__ import annotations

import pytest

from bench import chain_gas

# Hashes of blocks differ between runs, and a byte that is zero costs 12 gas less.
JITTER = 0.003


@pytest.fixture(scope="module")
def gas() -> chain_gas.Gas:
    return chain_gas.measure()


def test_every_transaction_costs_what_is_committed(gas: chain_gas.Gas) -> None:
    committed = chain_gas.snapshot()
    assert gas.figures.keys() == committed.keys()
    moved = {
        name: (round(cost), committed[name])
        for name, cost in gas.figures.items()
        if abs(cost - committed[name]) > JITTER * committed[name]
    }
    assert not moved, "run `python -m bench.chain_gas` and commit bench/gas.json"


@pytest.mark.parametrize("name", chain_gas.LIMITS)
def test_the_committed_gas_is_within_its_limit(name: str) -> None:
    assert chain_gas.snapshot()[name] <= chain_gas.LIMITS[name]


def test_a_hospitals_round_costs_the_same_at_a_hundred_thousand_patients(
    gas: chain_gas.Gas,
) -> None:
    assert gas.growth <= chain_gas.GROWTH
