from __future__ import annotations

import pytest

from federated.errors import SpecError
from federated.purposes import PERMISSIONS, RESTRICTIONS, code, covers, describe
from federated.purposes import study_bitmap as study
from federated.purposes import tier_bitmap as tier


@pytest.mark.parametrize(
    ("granted", "needed", "covered"),
    [
        (["HMB"], ["HMB"], True),
        (["HMB"], ["DS"], True),
        (["DS"], ["HMB"], False),
        (["GRU"], ["DS"], True),
        (["GRU"], ["POA"], True),
        (["HMB"], ["POA"], False),
        (["GRU"], ["CC"], False),
        (["NRES"], ["CC", "GRU"], True),
        (["HMB", "NCU"], ["HMB"], False),
        (["HMB", "NCU"], ["HMB", "NCU"], True),
        (["HMB"], ["HMB", "NCU"], True),
        (["HMB", "NPUNCU"], ["HMB", "NCU"], False),
        (["HMB", "NPUNCU"], ["HMB", "NCU", "NPU"], True),
        (["HMB", "IRB"], ["HMB"], False),
    ],
)
def test_a_tier_covers_a_study_that_stays_within_it(
    granted: list[str], needed: list[str], covered: bool
) -> None:
    assert covers(tier(granted), study(needed)) is covered


def test_codes_and_bits_are_unambiguous_and_fit_a_word() -> None:
    bits = [term.bit for term in PERMISSIONS.values()]
    bits += [bit for key, term in RESTRICTIONS.items() for bit in term.bits if key != "DUO:0000018"]
    assert len(set(bits)) == len(bits)
    assert max(bits) < 256
    assert code("hmb") == code("DUO:0000006") == "DUO:0000006"


def test_an_unknown_purpose_and_a_restriction_alone_are_refused() -> None:
    with pytest.raises(SpecError, match="unknown purpose"):
        code("marketing")
    with pytest.raises(SpecError, match="no permission"):
        tier(["NCU"])


def test_a_bitmap_reads_as_words() -> None:
    assert describe(study(["HMB", "NCU"])) == [
        "health or medical or biomedical research",
        "non-commercial use only",
    ]
