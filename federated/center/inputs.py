"""What a round is aggregated from: the submissions on-chain, judged and summed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chain.round_events import Frozen, Submitted
from chain.round_types import Round
from chain.types import Address, BlockNumber, RoundNumber
from federated.canonical import digest
from federated.chosen import spec_of_round
from federated.combining import Total, total_of
from federated.directory import known_as
from federated.errors import StepError, TooFewUpdates, Unjudged
from federated.exclusion import ExclusionCode
from federated.judging import Judged, judge_submission, still_stands, wrap_for_auditors
from federated.left_out import Update
from federated.memory import Begun, key_of
from federated.models import update_schema
from federated.party import Party, recipient_at
from federated.published import known_state
from federated.round_manifest import Entry
from federated.spec import StudySpec
from federated.state import GlobalState
from federated.study import Study
from storage.errors import StorageError, Unreachable
from storage.keys import RecipientKey


@dataclass(frozen=True, slots=True)
class Inputs:
    """Freezes and standing submissions of a round at one block, by hospital index."""

    number: RoundNumber
    block: BlockNumber
    round: Round
    frozen: Mapping[int, Frozen]
    submitted: Sequence[Submitted]

    @property
    def basis(self) -> str:
        """What is made of them: another freeze of the same update needs another manifest."""
        parts = [self.frozen[item.index].freeze.digest() + item.digest() for item in self.submitted]
        return digest(b"".join(parts)).hex()


@dataclass(frozen=True, slots=True)
class Collected:
    """Judged inputs, the included ones in `total`; `downloads` as in `Aggregated`."""

    start: GlobalState
    total: Total
    entries: tuple[Entry, ...]
    downloads: tuple[tuple[int, int, float], ...]

    @property
    def included(self) -> list[int]:
        """Indices of the hospitals in the mean."""
        return [entry.hospital for entry in self.entries if entry.code is None]


def read_inputs(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> Inputs:
    """The round's inputs. Raises `StepError` where fewer than k submissions stand."""
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, number, block_identifier=block)
    frozen = {e.freeze.hospital: e for e in rounds.freezes(study.number, number, to_block=block)}
    submitted = [
        event
        for event in rounds.submissions(study.number, number, to_block=block)
        if not round_.voided >> event.index & 1
    ]
    least = study.terms.min_hospitals
    if len(submitted) < least:
        raise StepError(
            f"study {study.number}: round {number}: {len(submitted)} submissions, at least "
            f"{least} are needed: wait until submitBy, or open another round"
        )
    return Inputs(number, block, round_, frozen, submitted)


def collect(party: Party, study: Study, inputs: Inputs, *, wrap: bool) -> Collected:
    """Fetch, judge and add all submissions, a segment of one in memory at a time.

    Those that were added while others were waited for (`ahead`) are asked about, not read again.
    With `wrap`, every update that opened is wrapped for the named auditors. Raises `StepError`
    where fewer than k updates can be included, `Unjudged` that names all that nobody can judge yet.
    """
    start = known_state(party, study, RoundNumber(inputs.round.parent), inputs.block)
    spec = spec_of_round(party, study, inputs.number, inputs.block)
    begun = _begun(party, study, inputs, spec)
    total = total_of(spec, party.journal.folder) if begun is None else begun.total
    held = {} if begun is None else begun.held
    entries, downloads, open_ = [], [], list[Unjudged]()
    for event in inputs.submitted:
        frozen = inputs.frozen[event.index]
        try:
            judged, taken_s = held.get(key_of(frozen, event)) or judge_timed(
                party, study, frozen, event, total
            )
        except Unjudged as exc:
            open_.append(exc)
            continue
        downloads.append((event.index, judged.size, taken_s))
        entries.append(_entry(frozen, event, judged))
        if wrap and judged.opened and study.auditors:
            wrap_for_auditors(party, study, frozen, event)
    if open_:
        hospitals = tuple(index for exc in open_ for index in exc.hospitals)
        raise Unjudged(hospitals, "; ".join(map(str, open_)))
    _check_enough(party, study, inputs, entries)
    return Collected(start, total, tuple(entries), tuple(downloads))


def judge_timed(
    party: Party, study: Study, frozen: Frozen, event: Submitted, into: Total
) -> tuple[Judged, float]:
    """What `judge_submission` says, and in how many seconds."""
    started = time.perf_counter()
    judged = judge_submission(party, study, frozen, event, into)
    return judged, time.perf_counter() - started


def _begun(party: Party, study: Study, inputs: Inputs, spec: StudySpec) -> Begun | None:
    """The sum of this round's first updates, if all that is in it still belongs there.

    A voided one, another freeze after a reorganisation, or a list that is gone: begin anew.
    """
    begun = party.memory.take_sum(study.number, inputs.number)
    if begun is None or begun.spec != spec:
        return None
    standing = {key_of(inputs.frozen[e.index], e): e for e in inputs.submitted}
    for key, (judged, _) in begun.held.items():
        if (event := standing.get(key)) is None:
            return None
        if not still_stands(party, study, inputs.frozen[event.index], event, judged):
            return None
    return begun


def updates_of(
    party: Party, study: Study, inputs: Inputs, collected: Collected
) -> Iterator[Update]:
    """The included updates once more, each fetched as it is asked for, and read where it lies."""
    schema, included = update_schema(study.spec), set(collected.included)
    for event in inputs.submitted:
        if event.index not in included:
            continue
        frozen = inputs.frozen[event.index]
        judged = judge_submission(party, study, frozen, event)
        if judged.update is None:
            raise StepError(
                f"study {study.number}: round {inputs.number}: the update of {event.hospital} was "
                "included and does not open any more: ask who keeps its blocks, then run again"
            )
        yield Update(event.index, judged.update.segments(schema), judged.weight)


def _entry(frozen: Frozen, event: Submitted, judged: Judged) -> Entry:
    return Entry(
        hospital=event.index,
        freeze=frozen.freeze.digest(),
        weight=frozen.freeze.weight,
        manifest=event.manifest,
        commitment=event.commitment,
        code=judged.code,
        envelope=judged.envelope if judged.code is ExclusionCode.UNDECRYPTABLE else b"",
    )


def _check_enough(party: Party, study: Study, inputs: Inputs, entries: Sequence[Entry]) -> None:
    included = [entry for entry in entries if entry.code is None]
    if len(included) < study.terms.min_hospitals:
        codes = ", ".join(
            f"{known_as(party.chain, party.store, study.hospitals[e.hospital], inputs.block)}: "
            f"{e.code}"
            for e in entries
            if e.code
        )
        raise TooFewUpdates(
            f"study {study.number}: round {inputs.number}: {len(included)} updates can be "
            f"included, at least {study.terms.min_hospitals} are needed ({codes})"
        )


def reachable(
    party: Party, members: Sequence[Address], block: BlockNumber
) -> Iterator[RecipientKey]:
    """Keys of hospitals; one whose published key is nowhere must not stop all others' round."""
    for member in members:
        try:
            yield recipient_at(party, member, block)
        except Unreachable:
            raise
        except (StepError, StorageError):  # none published, or what it published is nowhere
            continue  # it can have the model wrapped once its key is there
