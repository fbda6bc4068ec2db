"""What a round's checks start from: its state, its logs, and the manifest that it was bound to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain.errors import LogsDisagree
from chain.round_events import Frozen, Submitted, Voided
from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.auditor.verdict import Checks, Place
from federated.exclusion import ExclusionCode
from federated.party import Party
from federated.published import read_result
from federated.round_manifest import RoundManifest
from federated.study import Study


@dataclass(frozen=True, slots=True)
class Facts:
    """One round up to a block; by hospital index. `manifest` is None where none can be trusted."""

    number: RoundNumber
    block: BlockNumber
    round: Round
    frozen: Mapping[int, Frozen]
    submitted: Mapping[int, Submitted]
    voids: Mapping[int, Voided]
    manifest: RoundManifest | None

    def code_of(self, hospital: int) -> ExclusionCode | None:
        """The code with which the center left a hospital out; None where it gives none."""
        entries = self.manifest.entries if self.manifest else ()
        return next((entry.code for entry in entries if entry.hospital == hospital), None)

    def code_unknown(self, hospital: int) -> bool:
        """Whether a hospital was left out of a model by a manifest that cannot be read."""
        left_out = not self.round.included >> hospital & 1
        return self.round.finalized and self.manifest is None and left_out


def gather(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber, checks: Checks
) -> Facts | None:
    """The facts of a round; None, and a failed check, where the logs are not what Rounds stores."""
    rounds = party.chain.rounds
    at = Place(number)
    round_ = rounds.round(study.number, number, block_identifier=block)
    facts = None
    with checks.guarded("freezes", at):
        frozen = rounds.freezes(study.number, number, to_block=block)
        checks.add("freezes", True, at=at)
        with checks.guarded("submissions", at):
            submitted = rounds.submissions(study.number, number, to_block=block)
            checks.add("submissions", True, at=at)
            with checks.guarded("voids", at):
                voids = _voids(party, study, number, round_, block)
                checks.add("voids", True, at=at)
                facts = Facts(
                    number,
                    block,
                    round_,
                    {event.freeze.hospital: event for event in frozen},
                    {event.index: event for event in submitted},
                    voids,
                    _manifest(party, study, number, block, checks) if round_.finalized else None,
                )
    return facts


def _voids(
    party: Party, study: Study, number: RoundNumber, round_: Round, block: BlockNumber
) -> dict[int, Voided]:
    events = party.chain.rounds.voids(study.number, to_block=block)
    found = {event.index: event for event in events if event.round == number}
    if sum(1 << index for index in found) != round_.voided:
        raise LogsDisagree(
            f"study {study.number}: round {number}: the node's logs do not show every update that "
            "was voided: it lies or is out of step; ask another"
        )
    return found


def _manifest(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber, checks: Checks
) -> RoundManifest | None:
    manifest = None
    with checks.guarded("round-manifest", Place(number)):
        manifest, _, _ = read_result(party, study, number, block)
        checks.add("round-manifest", True, at=Place(number))
    return manifest
