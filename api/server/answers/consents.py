"""Where a consent was used, and what it can claim."""

from __future__ import annotations

from pydantic import Field

from api.server.text import Account, Answer, BlockNo, Digest, Seconds, Wei


class FreezeFields(Answer):
    """What a hospital froze, field by field: a claim and a challenge pass it to the contract."""

    study: int = Field(title="Study")
    round: int = Field(title="Round")
    hospital: int = Field(title="Hospital", description="Its index.")
    snapshot: BlockNo = Field(title="Snapshot")
    snapshot_hash: Digest = Field(title="Snapshot's hash")
    root: Digest = Field(title="Root")
    n: int = Field(title="Consents")
    weight: int = Field(title="Weight")
    leaf_list: Digest = Field(title="List of leaves")
    round_keys: Digest = Field(title="Round keys")


class Proof(Answer):
    """The leaf of a consent and its proof under the frozen root: checked by anyone, offline."""

    freeze: FreezeFields = Field(title="Freeze")
    index: int = Field(title="Index", description="Of the leaf in the cohort, from 0.")
    record: Digest = Field(title="Record", description="Salted digest; tells nothing.")
    proof: list[Digest] = Field(title="Proof", description="Hashes from the leaf to the root.")


class UseOfConsent(Answer):
    """One consent in one frozen cohort."""

    round: int = Field(title="Round", examples=[1])
    hospital: Account = Field(title="Hospital")
    trained: bool = Field(title="Trained", description="An update of this cohort was submitted.")
    voided: bool = Field(title="Voided", description="That update was proven false.")
    model: Digest | None = Field(
        title="Model", description="State that the update went into; null: into none."
    )
    proof: Proof = Field(title="Proof")


class UnknownCohort(Answer):
    """A cohort of which nobody has a list that gives its root: nothing can be said."""

    round: int = Field(title="Round")
    hospital: Account = Field(title="Hospital")


class UsageOfConsent(Answer):
    """Where a consent was used."""

    consent: Digest = Field(title="Consent")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    study: int = Field(title="Study", examples=[1])
    agreement: int = Field(title="Agreement", examples=[1])
    granted: BlockNo = Field(title="Granted", description="Block; 0: burned, never granted.")
    revoked: BlockNo | None = Field(title="Revoked", description="Block; null: it stands.")
    uses: list[UseOfConsent] = Field(title="Uses", description="By round.")
    unknown: list[UnknownCohort] = Field(title="Unknown", description="Ask these hospitals.")


class ClaimOfConsent(Answer):
    """What a consent can claim. To claim, sign `Claim` and send it to /v1/relay/claims."""

    consent: Digest = Field(title="Consent")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    study: int = Field(title="Study", examples=[1])
    agreement: int = Field(title="Agreement", examples=[1])
    price: Wei = Field(title="Price", description="Of the tier, smallest units.")
    token: Account = Field(title="Token", description="The ERC-20 contract that it pays in.")
    paid: bool = Field(
        title="Paid",
        description="For a key's first consent (nonce 0), which holds the mark for later ones too.",
    )
    claim_end: Seconds = Field(title="End of claims", description="After it nothing is paid.")
    standing: Proof | None = Field(
        title="Standing", description="Its place in the newest cohort that pays; null: none yet."
    )
