"""A study as the chain and the store tell it: number, terms, spec, who takes part."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from chain.contracts import Contracts
from chain.studies import RewardRule, Terms
from chain.types import Address, BlockNumber, StudyId
from federated.errors import StepError
from federated.purposes import study_bitmap
from federated.spec import StudySpec
from federated.spec_files import read_bytes
from federated.state import initial_state, state_digest
from storage.cid import dag_cbor_cid
from storage.store import BlockStore


@dataclass(frozen=True, slots=True)
class Study:
    """`hospitals` in the order of their index; those that left keep their place."""

    number: StudyId
    spec: StudySpec
    spec_digest: bytes
    terms: Terms
    center: Address
    auditors: tuple[Address, ...]
    hospitals: tuple[Address, ...]

    def index_of(self, hospital: Address) -> int:
        """The hospital's index. Raises `StepError` when it is not enrolled."""
        if hospital not in self.hospitals:
            raise StepError(
                f"study {self.number}: {hospital} is not enrolled; run `consilium hospital join`"
            )
        return self.hospitals.index(hospital)


def read_study(chain: Contracts, store: BlockStore, study: StudyId, block: BlockNumber) -> Study:
    """The study at the end of a block. Raises `StepError`, `SpecError` and the store's errors."""
    known = chain.studies.count(block_identifier=block)
    if not 1 <= study <= known:
        raise StepError(f"study {study} does not exist; this chain has studies 1 to {known}")
    terms = chain.studies.terms(study, block_identifier=block)
    spec = read_bytes(store.get_block(dag_cbor_cid(terms.spec)))
    count = chain.studies.hospital_count(study, block_identifier=block)
    return Study(
        number=study,
        spec=spec,
        spec_digest=terms.spec,
        terms=terms,
        center=chain.studies.center_of(study, block_identifier=block),
        auditors=tuple(chain.studies.auditors_of(study, block_identifier=block)),
        hospitals=tuple(
            chain.studies.hospital_at(study, index, block_identifier=block)
            for index in range(count)
        ),
    )


def checksummed(address: str) -> Address:
    """An address of a spec (lower case) as the chain's wrappers give it (EIP-55)."""
    return Address(to_checksum_address(address))


def terms_of(spec: StudySpec, *, token: Address, opened_at: int) -> Terms:
    """The terms that a spec asks for when its study opens at that second."""
    times, phases, reward = spec.terms, spec.phases, spec.reward
    return Terms(
        spec=spec.digest(),
        state=state_digest(spec, initial_state(spec)),
        purposes=study_bitmap(spec.purposes),
        token=token,
        hospital_pool=reward.hospitals_wei,
        bond=reward.bond_wei,
        demand_deposit=times.demand_deposit_wei,
        end_by=opened_at + times.end_by_s,
        settle_by=opened_at + times.settle_s,
        challenge_end=opened_at + times.challenge_s,
        claim_end=opened_at + times.claim_s,
        refund_at=opened_at + times.refund_s,
        freeze_period=phases.freeze_s,
        submit_period=phases.submit_s,
        unmask_period=phases.unmask_s,
        finalize_period=phases.finalize_s,
        answer_period=times.answer_s,
        max_weight=spec.grid.max_weight,
        max_patients=times.max_patients,
        min_hospitals=spec.min_hospitals,
        max_hospitals=spec.max_hospitals,
        max_rounds=spec.rounds,
        threshold=spec.threshold,
        max_demands=times.max_demands,
        auditor_quorum=spec.auditor_quorum,
        masked=spec.masked,
        rule=RewardRule.COUNT if reward.rule == "count" else RewardRule.CONTRIBUTION,
    )


def differing_terms(study: Study) -> list[str]:
    """Names of terms on-chain that the spec does not ask for; empty for an honest center.

    The token is the center's choice, shown to who approves.
    """
    opened_at = study.terms.end_by - study.spec.terms.end_by_s
    wanted = terms_of(study.spec, token=study.terms.token, opened_at=opened_at)
    names = [
        name
        for name in Terms.__dataclass_fields__
        if getattr(wanted, name) != getattr(study.terms, name)
    ]
    auditors = tuple(item.address for item in study.spec.auditors)
    if auditors != tuple(address.lower() for address in study.auditors):
        names.append("auditors")
    return names
