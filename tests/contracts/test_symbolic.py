"""Halmos proves a consent's word, and refutes a wrong one. `make prove` asks for more."""

from __future__ import annotations

import pytest

from chain import toolchain
from tests.tooling.kit import load

halmos = load(toolchain.ROOT / "tools" / "halmos_check.py")

SLOTS = "contracts/libraries/ConsentSlots.sol"
# What a hasty hand could write, and the proof that then finds it out.
BROKEN = (
    # A withdrawal clears what was paid.
    (
        "ConsentSlot.wrap(ConsentSlot.unwrap(slot) | word)",
        "ConsentSlot.wrap((ConsentSlot.unwrap(slot) & ~PAID) | word)",
        "AWithdrawalChangesItsOwnFieldsAlone",
    ),
    # A tier's number loses its upper half.
    (
        "agreement: uint64(word >> AGREEMENT_AT)",
        "agreement: uint32(word >> AGREEMENT_AT)",
        "WhatUnpackShowsIsTheWholeWord",
    ),
    # A consent still holds in the block that ends it.
    (
        "blockNumber < revoked)",
        "blockNumber <= revoked)",
        "ActiveMeansFromUpToTheBlockBeforeRevoked",
    ),
)


@pytest.mark.engine("halmos", "solc")
def test_what_a_consents_word_holds_is_proven_for_every_value() -> None:
    outcomes = halmos.prove(halmos.sources_of(["ConsentSlotsProof"]), ["ConsentSlotsProof"])
    written = (halmos.PROOFS / "ConsentSlotsProof.sol").read_text("utf-8").count("function check_")
    assert len(outcomes) == written
    assert [one.name for one in outcomes if not one.holds] == []


def test_a_proof_of_which_nothing_came_does_not_hold() -> None:
    """Another contract's proofs hold: without this line nobody would miss these."""
    came = [halmos.Outcome("AProof.check_One", True, "holds", 1.0)]
    text = "contract AProof {\n function check_One() {}\n function check_Two(uint256 a) {}\n}"
    one, two = halmos.with_lacking("AProof", text, came)
    assert one == came[0]
    assert (two.name, two.holds) == ("AProof.check_Two", False)
    assert "was not run" in two.words
    (none,) = halmos.with_lacking("BProof", "contract BProof {}", [])
    assert (none.name, none.holds) == ("BProof", False)


@pytest.mark.engine("halmos", "solc")
def test_a_library_that_packs_wrongly_is_refuted() -> None:
    sources = halmos.sources_of(["ConsentSlotsProof"])
    for right, wrong, _ in BROKEN:
        assert sources[SLOTS].count(right) == 1
        sources[SLOTS] = sources[SLOTS].replace(right, wrong)
    outcomes = halmos.prove(sources, ["ConsentSlotsProof"])
    refuted = {one.name for one in outcomes if one.words == "is REFUTED"}
    assert {f"ConsentSlotsProof.check_{proof}" for _, _, proof in BROKEN} <= refuted
    # What no line above touches holds all the same.
    assert "ConsentSlotsProof.check_AnotherReasonChangesTheReasonAlone" not in refuted
