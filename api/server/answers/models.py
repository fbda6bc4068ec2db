"""Where a model comes from."""

from __future__ import annotations

from pydantic import Field

from api.server.answers.rounds import CohortOfRound, Indices
from api.server.text import Account, Answer, BlockNo, Digest


class Ancestor(Answer):
    """A round that the model descends from, the newest first; the last one's parent is 0."""

    round: int = Field(title="Round", examples=[1])
    parent: int = Field(title="Parent", description="0: the study's own first state.")
    start_state: Digest = Field(title="Start state")
    state: Digest = Field(title="State")
    included: Indices = Field(title="Included")
    voided: Indices = Field(title="Voided", description="Proven false, at any time.")
    contaminated: bool = Field(
        title="Contaminated", description="An included hospital was voided after finalize."
    )


class AttestationOfStudy(Answer):
    """An auditor's standing verdict."""

    auditor: Account = Field(title="Auditor")
    named: bool = Field(title="Named", description="Whether the study names this auditor.")
    round: int = Field(title="Round", description="0: the whole study.")
    level: str = Field(title="Level", examples=["keyed"])
    verdict: str = Field(title="Verdict", examples=["ok"])
    report: Digest = Field(title="Report", description="Digest of the audit's report.")
    block: BlockNo = Field(title="Block")


class Origin(Answer):
    """A round that ended with the state."""

    study: int = Field(title="Study", examples=[1])
    round: int = Field(title="Round", examples=[2])
    spec: Digest = Field(title="Spec")
    manifest: Digest = Field(title="Manifest", description="What the center signed of the round.")
    inputs: Digest = Field(
        title="Inputs", description="That the contract bound: submissions of the included."
    )
    cohorts: list[CohortOfRound] = Field(
        title="Cohorts", description="Of the included hospitals, in this round."
    )
    lineage: list[Ancestor] = Field(title="Lineage", description="This round, then its ancestors.")
    contaminated_by: list[int] = Field(
        title="Contaminated by",
        description="Rounds of the lineage that include an update proven false later; empty: none.",
    )
    attestations: list[AttestationOfStudy] = Field(
        title="Attestations", description="Of the study and of this round."
    )


class Provenance(Answer):
    """Where a model comes from."""

    state: Digest = Field(title="State")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    origins: list[Origin] = Field(title="Origins", description="One, save for equal studies.")
