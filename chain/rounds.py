"""Rounds: open → freeze → submit → (closeSubmit → unmask) → finalize."""

from __future__ import annotations

from typing import ClassVar

from chain.contract import Contract, build
from chain.errors import LogsDisagree
from chain.round_events import (
    Aborted,
    Drawn,
    Finalized,
    Frozen,
    Lapsed,
    Restored,
    RoundOpened,
    SubmitClosed,
    Submitted,
    Unmasked,
    Voided,
)
from chain.round_types import Cohort, Deadlines, Freeze, PayableCohort, Round, bound
from chain.types import Address, BlockNumber, Call, RoundNumber, StudyId


class Rounds(Contract):
    """See contracts/interfaces/IRounds.sol."""

    name = "Rounds"
    events: ClassVar[dict[str, type]] = {
        "RoundOpened": RoundOpened,
        "Drawn": Drawn,
        "Frozen": Frozen,
        "Submitted": Submitted,
        "SubmitClosed": SubmitClosed,
        "Unmasked": Unmasked,
        "Finalized": Finalized,
        "Lapsed": Lapsed,
        "Aborted": Aborted,
        "Voided": Voided,
        "Restored": Restored,
    }

    def open(self, study: StudyId, parent: RoundNumber, state: bytes) -> Call:
        """Only the center."""
        return self._call("open", study, parent, state)

    def open_drawn(
        self, study: StudyId, parent: RoundNumber, state: bytes, pool: int, drawn: int
    ) -> Call:
        """Only the center; words of one bit per hospital."""
        return self._call("openDrawn", study, parent, state, pool, drawn)

    def abort(self, study: StudyId, round_number: RoundNumber) -> Call:
        """Only the center, before the first submission."""
        return self._call("abort", study, round_number)

    def freeze(self, commitment: Freeze) -> Call:
        """Only the hospital that the commitment names."""
        return self._call("freeze", commitment)

    def submit(
        self, study: StudyId, round_number: RoundNumber, manifest: bytes, commitment: bytes
    ) -> Call:
        """Only a hospital that froze."""
        return self._call("submit", study, round_number, manifest, commitment)

    def close_submit(self, study: StudyId, round_number: RoundNumber) -> Call:
        """Masked mode; anyone."""
        return self._call("closeSubmit", study, round_number)

    def unmask(self, study: StudyId, round_number: RoundNumber, shares: bytes) -> Call:
        """Masked mode; a survivor."""
        return self._call("unmask", study, round_number, shares)

    def finalize(
        self,
        study: StudyId,
        round_number: RoundNumber,
        included: int,
        state: bytes,
        manifest: bytes,
    ) -> Call:
        """Only the center."""
        return self._call("finalize", study, round_number, included, state, manifest)

    def lapse(self, study: StudyId, round_number: RoundNumber) -> Call:
        """Anyone, past finalizeBy."""
        return self._call("lapse", study, round_number)

    def void_update(self, study: StudyId, round_number: RoundNumber, index: int) -> Call:
        """Only Challenges."""
        return self._call("voidUpdate", study, round_number, index)

    def restore_weight(self, study: StudyId, round_number: RoundNumber, index: int) -> Call:
        """Only Challenges."""
        return self._call("restoreWeight", study, round_number, index)

    def count(self, study: StudyId, *, block_identifier: BlockNumber) -> int:
        """Rounds are numbered from 1 to this."""
        return int(self._read(block_identifier, "count", study)[0])

    def round(self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber) -> Round:
        """Raises TxReverted `UnknownRound`."""
        found: Round = build(Round, self._read(block_identifier, "round", study, number)[0])
        return found

    def deadlines(
        self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber
    ) -> Deadlines:
        """The round's times alone."""
        return Deadlines(*self._read(block_identifier, "deadlines", study, number))

    def cohort(
        self, study: StudyId, number: RoundNumber, index: int, *, block_identifier: BlockNumber
    ) -> Cohort:
        """What a hospital froze."""
        values = self._read(block_identifier, "cohort", study, number, index)[0]
        found: Cohort = build(Cohort, values)
        return found

    def payable_cohort(
        self, study: StudyId, number: RoundNumber, index: int, *, block_identifier: BlockNumber
    ) -> PayableCohort:
        """What a claim is held against."""
        values = self._read(block_identifier, "payableCohort", study, number, index)
        return PayableCohort(bytes(values[0]), int(values[1]))

    def submission_digest(
        self, study: StudyId, number: RoundNumber, index: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """Zero where nothing was submitted."""
        return bytes(self._read(block_identifier, "submissionDigest", study, number, index)[0])

    def is_over(
        self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber
    ) -> bool:
        """Finalized, aborted, or past finalizeBy."""
        return bool(self._read(block_identifier, "isOver", study, number)[0])

    def pays(self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber) -> bool:
        """Whether patients of its cohorts can claim."""
        return bool(self._read(block_identifier, "pays", study, number)[0])

    def restorable(
        self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber
    ) -> int:
        """One bit per hospital that was left out, and whose weight auditors can restore."""
        return int(self._read(block_identifier, "restorable", study, number)[0])

    def restored(
        self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber
    ) -> int:
        """One bit per hospital whose weight in this round auditors restored."""
        return int(self._read(block_identifier, "restored", study, number)[0])

    def restored_weights(self, study: StudyId, *, block_identifier: BlockNumber) -> dict[int, int]:
        """By hospital index: what of its counted weight stands by auditors' votes alone."""
        weights: dict[int, int] = {}
        for (_, index), weight in self._restored_cohorts(study, block_identifier).items():
            weights[index] = weights.get(index, 0) + weight
        return weights

    def counted_weight(
        self, study: StudyId, index: int, *, block_identifier: BlockNumber
    ) -> tuple[int, int]:
        """A hospital's weight (0 once voided) and the total as counted."""
        weight, total = self._read(block_identifier, "countedWeight", study, index)
        return int(weight), int(total)

    def counted_weights(
        self, study: StudyId, *, block_identifier: BlockNumber
    ) -> tuple[list[int], int]:
        """All weights as counted, voided or not, and their total."""
        weights, total = self._read(block_identifier, "countedWeights", study)
        return list(weights), int(total)

    def barred(self, study: StudyId, *, block_identifier: BlockNumber) -> int:
        """One bit per hospital voided in any round."""
        return int(self._read(block_identifier, "barred", study)[0])

    def hash_freeze(self, commitment: Freeze, *, block_identifier: BlockNumber) -> bytes:
        """What `Freeze.digest` computes."""
        return bytes(self._read(block_identifier, "hashFreeze", commitment)[0])

    def opened(self, study: StudyId, *, to_block: BlockNumber) -> list[RoundOpened]:
        """All openings of a study's rounds."""
        return self._find(RoundOpened, BlockNumber(0), to_block, study=study)

    def opening(self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber) -> RoundOpened:
        """The event of a round's opening. Raises `LogsDisagree` where the node omits it."""
        found = self._find(RoundOpened, BlockNumber(0), to_block, study=study, round=number)
        if not found:
            raise LogsDisagree(
                f"study {study}: round {number}: the node's logs do not show its opening: it lies "
                "or is out of step; ask another"
            )
        return found[-1]

    def drawn(self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber) -> Drawn | None:
        """What a round's hospitals were drawn from; None where it is for all."""
        found = self._find(Drawn, BlockNumber(0), to_block, study=study, round=number)
        return found[-1] if found else None

    def freezes(
        self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber
    ) -> list[Frozen]:
        """Freezes by hospital index, each equal to the digest stored. Raises `LogsDisagree`."""
        found = self._find(Frozen, BlockNumber(0), to_block, study=study, round=number)
        for event in found:
            stored = self.cohort(study, number, event.freeze.hospital, block_identifier=to_block)
            found_digest = bound(event.freeze.digest(), event.hospital)
            self._agree(found_digest, stored.digest, "freeze", event.hospital)
        self._complete(study, number, to_block, "frozen", [e.freeze.hospital for e in found])
        return sorted(found, key=lambda event: event.freeze.hospital)

    def submissions(
        self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber
    ) -> list[Submitted]:
        """Submissions by hospital index, each equal to the digest stored. Raises `LogsDisagree`."""
        found = self._find(Submitted, BlockNumber(0), to_block, study=study, round=number)
        for event in found:
            stored = self.submission_digest(study, number, event.index, block_identifier=to_block)
            self._agree(event.digest(), stored, "submission", event.hospital)
        self._complete(study, number, to_block, "submitted", [e.index for e in found])
        return sorted(found, key=lambda event: event.index)

    def finalized(self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber) -> Finalized:
        """The event of a finalized round. Raises `LogsDisagree` where the node omits it."""
        found = self._find(Finalized, BlockNumber(0), to_block, study=study, round=number)
        if not found:
            raise LogsDisagree(
                f"study {study}: round {number}: no Finalized event up to block {to_block}; the "
                "round is not finalized, or the node drops logs: ask another"
            )
        return found[-1]

    def finalizations(self, *, from_block: BlockNumber, to_block: BlockNumber) -> list[Finalized]:
        """Rounds of every study that were finalized in a range of blocks."""
        return self._find(Finalized, from_block, to_block)

    def voids(self, study: StudyId, *, to_block: BlockNumber) -> list[Voided]:
        """All updates of a study that were proven false."""
        return self._find(Voided, BlockNumber(0), to_block, study=study)

    def restorations(self, study: StudyId, *, to_block: BlockNumber) -> list[Restored]:
        """All weights that auditors restored, each as Rounds stores it. Raises `LogsDisagree`."""
        found = self._find(Restored, BlockNumber(0), to_block, study=study)
        shown = {(event.round, event.index): event.weight for event in found}
        if shown != self._restored_cohorts(study, to_block):
            raise LogsDisagree(
                f"study {study}: the weights that auditors restored in the node's logs are not "
                "those that Rounds stores: it lies or is out of step; ask another"
            )
        return found

    def lapses(self, study: StudyId, *, to_block: BlockNumber) -> list[Lapsed]:
        """All rounds of a study that ran out and were counted."""
        return self._find(Lapsed, BlockNumber(0), to_block, study=study)

    def aborts(self, study: StudyId, *, to_block: BlockNumber) -> list[Aborted]:
        """All rounds of a study that were aborted."""
        return self._find(Aborted, BlockNumber(0), to_block, study=study)

    def closings(self, study: StudyId, *, to_block: BlockNumber) -> list[SubmitClosed]:
        """Masked mode: where survivors were fixed."""
        return self._find(SubmitClosed, BlockNumber(0), to_block, study=study)

    def unmaskings(
        self, study: StudyId, number: RoundNumber, *, to_block: BlockNumber
    ) -> list[Unmasked]:
        """Masked mode: the shares recorded in a round."""
        return self._find(Unmasked, BlockNumber(0), to_block, study=study, round=number)

    def _restored_cohorts(
        self, study: StudyId, block: BlockNumber
    ) -> dict[tuple[RoundNumber, int], int]:
        """By round and hospital: the frozen weight that was restored."""
        found = {}
        for place in range(1, self.count(study, block_identifier=block) + 1):
            number = RoundNumber(place)
            mask = self.restored(study, number, block_identifier=block)
            for index in (i for i in range(mask.bit_length()) if mask >> i & 1):
                stored = self.cohort(study, number, index, block_identifier=block)
                found[number, index] = stored.weight
        return found

    def _agree(self, found: bytes, stored: bytes, what: str, hospital: Address) -> None:
        if found != stored:
            raise LogsDisagree(
                f"the {what} of {hospital} in the node's logs is not the one that Rounds stores: "
                "the node lies or is out of step; ask another"
            )

    def _complete(
        self, study: StudyId, number: RoundNumber, block: BlockNumber, word: str, found: list[int]
    ) -> None:
        stored = getattr(self.round(study, number, block_identifier=block), word)
        if stored != sum(1 << index for index in set(found)):
            raise LogsDisagree(
                f"study {study}: round {number}: the node's logs do not show every hospital that "
                f"has {word}: it lies or is out of step; ask another"
            )
