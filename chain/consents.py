"""Consents: granted by signature and admission, withdrawn by the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chain.consent_events import Amended, Granted, GrantSkipped, Revoked, RevokeSkipped, Superseded
from chain.consent_types import (
    Consent,
    GrantMessage,
    RevokeMessage,
    Signed,
    Withdrawal,
)
from chain.contract import Contract, build
from chain.types import Address, AgreementId, BlockNumber, Call, ConsentId

CHUNK = 5000
"""Ids asked for in one call: some 10 million gas of reading."""


class Consents(Contract):
    """See contracts/interfaces/IConsents.sol."""

    name = "Consents"
    events: ClassVar[dict[str, type]] = {
        "Granted": Granted,
        "GrantSkipped": GrantSkipped,
        "Revoked": Revoked,
        "RevokeSkipped": RevokeSkipped,
        "Amended": Amended,
        "Superseded": Superseded,
    }

    def grant_batch(
        self,
        agreement: AgreementId,
        messages: Sequence[GrantMessage],
        admission_deadline: int = 0,
        admission: bytes = b"",
    ) -> Call:
        """`admission` is empty where the tier's hospital sends the batch itself."""
        return self._call("grantBatch", agreement, messages, admission_deadline, admission)

    def grant_by_sig(
        self,
        key: Address,
        agreement: AgreementId,
        nonce: int,
        deadline: int,
        signature: bytes,
        admission_deadline: int = 0,
        admission: bytes = b"",
    ) -> Call:
        """One consent; the key may be a contract (ERC-1271)."""
        message = (key, agreement, nonce, deadline, signature)
        return self._call("grantBySig", *message, admission_deadline, admission)

    def revoke(self, agreement: AgreementId, nonce: int) -> Call:
        """Sent by the key itself."""
        return self._call("revoke", agreement, nonce)

    def revoke_by_sig(
        self, key: Address, agreement: AgreementId, nonce: int, deadline: int, signature: bytes
    ) -> Call:
        """Sent by anyone with the key's signature."""
        return self._call("revokeBySig", key, agreement, nonce, deadline, signature)

    def revoke_batch(self, messages: Sequence[RevokeMessage]) -> Call:
        """Sent by anyone."""
        return self._call("revokeBatch", messages)

    def revoke_by_hospital(self, withdrawals: Sequence[Withdrawal]) -> Call:
        """Sent by the agreements' hospital."""
        return self._call("revokeByHospital", withdrawals)

    def amend(self, corrected: Withdrawal, record: bytes) -> Call:
        """Only the agreement's hospital, of a withdrawal that it made; `record` says why."""
        return self._call("amend", corrected, record)

    def supersede(self, old: Signed, successor: Signed, deadline: int) -> Call:
        """Sent by anyone with both keys' signatures of `Supersede`."""
        return self._call("supersede", old, successor, deadline)

    def hash_supersede(
        self, consent: ConsentId, by: ConsentId, deadline: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """What `Supersede.digest` computes."""
        return bytes(self._read(block_identifier, "hashSupersede", consent, by, deadline)[0])

    def pay(self, consent: ConsentId, key: Address, nonce: int, block: BlockNumber) -> Call:
        """Only Escrow."""
        return self._call("pay", consent, key, nonce, block)

    def mark_bonus_paid(self, key: Address, agreement: AgreementId) -> Call:
        """Only Escrow."""
        return self._call("markBonusPaid", key, agreement)

    def id_of(
        self, key: Address, agreement: AgreementId, nonce: int, *, block_identifier: BlockNumber
    ) -> ConsentId:
        """What `consent_id` computes."""
        return ConsentId(self._read(block_identifier, "idOf", key, agreement, nonce)[0])

    def consent(self, consent: ConsentId, *, block_identifier: BlockNumber) -> Consent:
        """The slot of an id."""
        found: Consent = build(Consent, self._read(block_identifier, "consent", consent)[0])
        return found

    def active_at(
        self, ids: Sequence[ConsentId], block: BlockNumber, *, block_identifier: BlockNumber
    ) -> list[bool]:
        """For each id: active at the end of `block`?"""
        flags: list[bool] = []
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            words = self._read(block_identifier, "activeAt", part, block)[0]
            flags += [bool(words[place // 256] >> place % 256 & 1) for place in range(len(part))]
        return flags

    def is_active(
        self, consent: ConsentId, block: BlockNumber, *, block_identifier: BlockNumber
    ) -> bool:
        """Active at the end of `block`?"""
        return bool(self._read(block_identifier, "isActive", consent, block)[0])

    def hash_grant(
        self,
        consent: ConsentId,
        agreement: AgreementId,
        nonce: int,
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        message = (consent, agreement, nonce, deadline)
        return bytes(self._read(block_identifier, "hashGrant", *message)[0])

    def hash_revoke(
        self, consent: ConsentId, deadline: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashRevoke", consent, deadline)[0])

    def hash_admission(
        self,
        agreement: AgreementId,
        ids: Sequence[ConsentId],
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashAdmission", agreement, ids, deadline)[0])

    def granted(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[Granted]:
        """Batches that took effect."""
        return self._find(Granted, BlockNumber(0), to_block, agreement=agreement)

    def grants_skipped(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[GrantSkipped]:
        """Grants that took no effect."""
        return self._find(GrantSkipped, BlockNumber(0), to_block, agreement=agreement)

    def revoked(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[Revoked]:
        """Consents that ended."""
        return self._find(Revoked, BlockNumber(0), to_block, agreement=agreement)

    def revokes_skipped(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[RevokeSkipped]:
        """Withdrawals that took no effect."""
        return self._find(RevokeSkipped, BlockNumber(0), to_block, agreement=agreement)
