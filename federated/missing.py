"""A named auditor's signed word that no member of a study has a hospital's list of leaves.

Without it a center could leave a hospital out by saying that it does not find the list.
"""

from __future__ import annotations

from chain.round_events import Frozen
from federated.canonical import tagged_hash
from federated.party import Party
from federated.study import Study
from federated.word import find_word, give_word

TAG = "consilium/list-missing/1"


def confirm_missing(party: Party, frozen: Frozen) -> bytes:
    """An auditor signs and announces that the list is nowhere; returns the record's digest."""
    return give_word(party, TAG, _body(frozen), topic_of_missing(frozen))


def confirmed_missing(party: Party, study: Study, frozen: Frozen) -> bool:
    """Whether an auditor whom the study names has confirmed it."""
    topic = topic_of_missing(frozen)
    return find_word(party, study, TAG, _body(frozen), topic=topic, frozen=frozen) is not None


def topic_of_missing(frozen: Frozen) -> bytes:
    """Under which auditors announce that word."""
    return tagged_hash(TAG, frozen.freeze.digest())


def _body(frozen: Frozen) -> dict[str, bytes]:
    return {"freeze": frozen.freeze.digest(), "leaf_list": frozen.freeze.leaf_list}
