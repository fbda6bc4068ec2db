"""What a study's times must be, and which of them are too short for real patients.

The contract enforces the order of periods again.
"""

from __future__ import annotations

import itertools
from dataclasses import fields

from federated.requiring import UINT32, require
from federated.spec import StudySpec

_ENDS = ("end_by_s", "settle_s", "challenge_s", "claim_s", "refund_s")


def check_times(spec: StudySpec) -> None:
    """Raise `SpecError` for the first period that is none, or comes too early or too late."""
    phases, terms = spec.phases, spec.terms
    for item in fields(phases):
        seconds = getattr(phases, item.name)
        least = 0 if item.name == "unmask_s" else 1
        require(least <= seconds <= UINT32, f"phases.{item.name}", f"{least} to 2^32 − 1 seconds")
    unmask = "seconds in masked mode, 0 in open mode"
    require((phases.unmask_s > 0) == spec.masked, "phases.unmask_s", unmask)
    length = sum(getattr(phases, item.name) for item in fields(phases))
    require(terms.end_by_s >= length, "terms.end_by_s", "the study ends before one round can")
    for before, after in itertools.pairwise(_ENDS):
        key = f"terms.{after}"
        require(getattr(terms, before) < getattr(terms, after), key, f"must come after {before}")
    require(terms.refund_s < 1 << 40, "terms.refund_s", "is too far away")
    require(1 <= terms.answer_s <= UINT32, "terms.answer_s", "1 to 2^32 − 1 seconds")
    answer = "demands must fit between settle_s and challenge_s; shorten it"
    require(terms.answer_s < terms.challenge_s - terms.settle_s, "terms.answer_s", answer)
    require(1 <= terms.max_demands < 1 << 16, "terms.max_demands", "1 to 65535 are expected")
    require(1 <= terms.max_patients <= UINT32, "terms.max_patients", "1 to 2^32 − 1 are expected")


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
