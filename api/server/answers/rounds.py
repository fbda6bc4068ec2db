"""Rounds, cohorts, submissions, manifests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.server.paging import Page
from api.server.text import Account, Answer, BlockNo, Digest, Seconds

Indices = Annotated[list[int], Field(description="Indices of hospitals.", examples=[[0, 1, 2]])]


class RoundSummary(Answer):
    """A round as the chain holds it."""

    study: int = Field(title="Study", examples=[1])
    round: int = Field(title="Round", description="Its number, from 1.", examples=[1])
    phase: str = Field(
        title="Phase",
        description="freeze, submit or finalize (what it waits for), finalized, aborted, lapsed.",
        examples=["finalized"],
    )
    contaminated: bool = Field(
        title="Contaminated", description="An included hospital was voided after finalize."
    )
    parent: int = Field(title="Parent", description="Round that it starts from; 0: the study.")
    freeze_by: Seconds = Field(title="Freeze by")
    submit_by: Seconds = Field(title="Submit by")
    finalize_by: Seconds = Field(title="Finalize by")
    enrolled: Indices = Field(title="Enrolled")
    frozen: Indices = Field(title="Frozen")
    submitted: Indices = Field(title="Submitted")
    included: Indices = Field(title="Included")
    voided: Indices = Field(title="Voided")
    start_state: Digest = Field(title="Start state")
    state: Digest | None = Field(title="State", description="It ended with; null before.")
    manifest: Digest | None = Field(title="Manifest", description="null before finalize.")


class RoundPage(Page):
    """A study's rounds by number."""

    items: list[RoundSummary] = Field(title="Items")


class CohortOfRound(Answer):
    """What one hospital froze: the counts are public, the patients are not."""

    hospital: int = Field(title="Hospital", description="Its index.")
    address: Account = Field(title="Address")
    n: int = Field(title="Consents", description="In the cohort.", examples=[26])
    weight: int = Field(title="Weight", description="In the aggregate, and what pays.")
    root: Digest = Field(title="Root", description="Of the Merkle tree of leaves.")
    leaf_list: Digest = Field(title="List of leaves", description="Digest of the record.")
    snapshot: BlockNo = Field(title="Snapshot", description="Block at which consents counted.")
    digest: Digest = Field(title="Digest", description="keccak256 that the contract stores.")


class RoundDetail(RoundSummary):
    """A round with its cohorts."""

    cohorts: list[CohortOfRound] = Field(title="Cohorts")


class Submission(Answer):
    """The on-chain record of an update; the update itself is sealed."""

    hospital: int = Field(title="Hospital", description="Its index.")
    address: Account = Field(title="Address")
    manifest: Digest = Field(title="Manifest", description="Digest of the artefact's manifest.")
    commitment: Digest = Field(title="Commitment", description="To the plaintext, salted.")
    block: BlockNo = Field(title="Block", description="That mined it.")
    transaction: Digest = Field(title="Transaction")
    included: bool = Field(title="Included", description="In the aggregate.")
    restored: bool = Field(
        title="Restored", description="Left out falsely, by auditors' votes: its weight counts."
    )
    voided: bool = Field(title="Voided", description="Proven false.")


class SubmissionPage(Page):
    """A round's submissions by hospital index; `next` counts from 1."""

    items: list[Submission] = Field(title="Items")


class ManifestEntry(Answer):
    """One submission as the center judged it."""

    hospital: int = Field(title="Hospital", description="Its index.")
    weight: int = Field(title="Weight")
    freeze: Digest = Field(title="Freeze")
    manifest: Digest = Field(title="Manifest")
    commitment: Digest = Field(title="Commitment")
    code: str | None = Field(title="Code", description="Why it is left out; null: included.")


class Manifest(Answer):
    """What the center signed when it finalized the round; signature and chain agree."""

    digest: Digest = Field(title="Digest", description="On the chain; the ETag.")
    signer: Account = Field(title="Signer", description="The study's center.")
    study: int = Field(title="Study")
    round: int = Field(title="Round")
    parent: int = Field(title="Parent")
    context: Digest = Field(title="Context")
    spec: Digest = Field(title="Spec")
    start_state: Digest = Field(title="Start state")
    state: Digest = Field(title="State")
    model: Digest = Field(title="Model", description="Manifest of the sealed global model.")
    reports: list[Digest] = Field(title="Reports")
    submissions: list[ManifestEntry] = Field(title="Submissions")
