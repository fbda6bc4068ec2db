"""Studies, their hospitals, money and tiers."""

from __future__ import annotations

from pydantic import Field

from api.server.paging import Page
from api.server.text import Account, Answer, Digest, Seconds, Wei


class StudySummary(Answer):
    """A study in a list."""

    study: int = Field(title="Study", description="Its number, from 1.", examples=[1])
    title: str | None = Field(
        title="Title", description="From the spec; null where the store does not have it."
    )
    center: Account = Field(title="Center")
    spec: Digest = Field(title="Spec", description="sha2-256 of the spec's canonical bytes.")
    rounds: int = Field(title="Rounds", description="How many were opened.", examples=[5])
    end_by: Seconds = Field(title="End", description="After it no round opens; seconds (Unix).")


class StudyPage(Page):
    """Studies by number."""

    items: list[StudySummary] = Field(title="Items")


class HospitalOfStudy(Answer):
    """A hospital that enrolled."""

    index: int = Field(title="Index", description="Its place in words of bits.", examples=[0])
    address: Account = Field(title="Address")
    name: str | None = Field(title="Name", description="The operator's word; for people.")
    takes_part: bool = Field(title="Takes part", description="In rounds that open from now on.")


class Money(Answer):
    """The study's account in escrow, in the token's smallest units."""

    token: Account = Field(title="Token", description="The ERC-20 contract that it pays in.")
    funded: Wei = Field(title="Funded")
    set_aside: Wei = Field(title="Set aside", description="For the hospitals.")
    reserved: Wei = Field(title="Reserved", description="Prices of consents granted so far.")
    paid_patients: Wei = Field(title="Paid to patients")
    paid_hospitals: Wei = Field(title="Paid to hospitals")
    refunded: Wei = Field(title="Refunded")


class StudyDetail(StudySummary):
    """A study as chain and spec tell it."""

    question: str = Field(title="Question")
    purposes: list[str] = Field(title="Purposes", description="In words, from the DUO codes.")
    task: str = Field(title="Task", description="What it predicts.", examples=["binary"])
    model: str = Field(
        title="Model",
        description="The family; NAME@DIGEST where it is not built in, of its code.",
        examples=["logistic"],
    )
    strategy: str = Field(title="Strategy", examples=["fedavg"])
    mode: str = Field(title="Mode", examples=["open"])
    initial_state: Digest = Field(title="Initial state", description="The first round's start.")
    max_rounds: int = Field(title="Most rounds")
    min_hospitals: int = Field(title="Least hospitals", description="In each round (k).")
    auditors: list[Account] = Field(title="Auditors", description="Whom the study names.")
    hospitals: list[HospitalOfStudy] = Field(title="Hospitals")
    money: Money = Field(title="Money")
    settle_by: Seconds = Field(title="Settle by")
    challenge_end: Seconds = Field(title="End of challenges")
    claim_end: Seconds = Field(title="End of claims")
    refund_at: Seconds = Field(title="Refund at")


class Tier(Answer):
    """An agreement: a price that a center offers to the patients of one hospital."""

    agreement: int = Field(title="Agreement", examples=[1])
    hospital: Account = Field(title="Hospital")
    price: Wei = Field(title="Price", description="Of one consent, smallest units.")
    purposes: list[str] = Field(title="Purposes", description="In words.")
    purposes_bitmap: Wei = Field(title="Purposes as bits", description="As signed; decimal text.")
    terms: Digest = Field(title="Terms", description="sha2-256 of the terms in words.")
    not_after: Seconds = Field(title="Not after", description="When its consents end; seconds.")
    admitted: int = Field(title="Admitted", description="Patients so far.")
    max_count: int = Field(title="At most", description="Patients.")
    open: bool = Field(title="Open", description="Whether it takes grants.")


class TierPage(Page):
    """A study's tiers by number."""

    items: list[Tier] = Field(title="Items")
