"""A named auditor's signed word that a hospital's update does not open, or is nowhere.

A wrap opens for one recipient alone: that it fails for the center is the center's claim. So an
auditor tries its own; if that one opens, the auditor wraps the key for the center.
"""

from __future__ import annotations

from chain.round_events import Frozen, Submitted
from federated.canonical import tagged_hash
from federated.party import Party
from federated.study import Study
from federated.word import find_word, give_word
from storage.cid import Cid

TAG = "consilium/undecryptable/1"


def confirm_unopened(party: Party, frozen: Frozen, event: Submitted) -> bytes:
    """An auditor signs and announces it; returns the record's digest."""
    return give_word(party, TAG, _body(frozen, event), topic_of_unopened(event))


def confirmed_unopened(party: Party, study: Study, frozen: Frozen, event: Submitted) -> Cid | None:
    """The word of an auditor whom the study names, if one gave it."""
    topic = topic_of_unopened(event)
    return find_word(party, study, TAG, _body(frozen, event), topic=topic, frozen=frozen)


def topic_of_unopened(event: Submitted) -> bytes:
    """Under which auditors announce that word."""
    return tagged_hash(TAG, event.manifest)


def _body(frozen: Frozen, event: Submitted) -> dict[str, bytes]:
    return {"freeze": frozen.freeze.digest(), "manifest": event.manifest}
