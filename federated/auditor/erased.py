"""What of a study was erased lawfully: after `refund`, by a tombstone of whoever sealed it.

A tombstone is its signer's word. What excuses is that word and the chain's clock: while evidence
must last no tombstone excuses anything, whatever time it states. That there is none is said only
after every member told what it knows.
"""

from __future__ import annotations

from functools import partial

from chain.types import RoundNumber
from federated.auditor.facts import Facts
from federated.evidence import Evidence, lawful_tombstone
from federated.judging import UPDATE_KIND
from federated.party import Party
from federated.published import MODEL_KIND, read_result
from federated.study import Study
from storage.erasure import date_of
from storage.store import surely

_MOST_SHOWN = 200  # a tombstone may hold any text


def update_erased(party: Party, study: Study, facts: Facts, hospital: int) -> str:
    """When the hospital erased its update of this round, and why; empty where it did not."""
    event = facts.submitted[hospital]
    item = Evidence(event.manifest, UPDATE_KIND, facts.number, event.hospital, event.block)
    return _said(party, study, facts, item)


def model_erased(party: Party, study: Study, facts: Facts, number: RoundNumber) -> str:
    """When the center erased the model that a round ended with, and why; empty where not."""
    if not number:  # the study's own state lies in its spec
        return ""
    manifest, round_, _ = read_result(party, study, number, facts.block)
    item = Evidence(manifest.model, MODEL_KIND, number, study.center, round_.open_block)
    return _said(party, study, facts, item)


def _said(party: Party, study: Study, facts: Facts, item: Evidence) -> str:
    """Raises Unanswered where there may be a tombstone that a member did not tell of."""
    until = study.terms.refund_at
    if party.chain.client.node.block(facts.block).timestamp < until:
        return ""
    search = partial(lawful_tombstone, party, item, until, facts.block)
    stone = surely(party.store, item.digest, search)
    if stone is None:
        return ""
    reason = "".join(c if c.isprintable() else "?" for c in stone.reason[:_MOST_SHOWN])
    return f"erased {date_of(stone.erased_at)} by {item.account}, who sealed it: {reason}"
