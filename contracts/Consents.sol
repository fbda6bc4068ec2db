// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IAgreements} from "./interfaces/IAgreements.sol";
import {IConsents} from "./interfaces/IConsents.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {ConsentIds} from "./libraries/ConsentIds.sol";
import {ConsentSlot, ConsentSlots} from "./libraries/ConsentSlots.sol";
import {Signatures} from "./libraries/Signatures.sol";

// slither-disable-start timestamp: a deadline is a block's second, and phases are longer than its freedom

/// @title Consents: granted by a patient's signature and a hospital's admission, withdrawn by the patient alone.
/// @dev Withdrawal reads nothing but the slot and the tier's hospital: no role, no deadline of a study and no money can
/// stand in its way.
contract Consents is IConsents, EIP712 {
    /// @dev What a claim needs of a tier, which nobody can alter: one slot, copied by the first grant under it, so that a claim
    /// calls one contract less.
    struct Sold {
        address hospital;
        uint48 study;
        uint40 notAfter;
        bool covers;
    }

    /// @dev What a batch reads once. `places`, `room` and `money` are what is left in the tier, the hospital and the escrow.
    struct Batch {
        uint256 agreement;
        uint256 study;
        address hospital;
        uint256 price;
        uint256 purposes;
        uint64 notAfter;
        bool covers;
        Skip ended;
        uint256 places;
        uint256 room;
        uint256 money;
        uint256 people;
        bytes32 domain;
    }

    bytes32 private constant GRANT_TYPEHASH = keccak256(
        "Grant(bytes32 id,uint256 study,uint256 agreement,uint256 price,uint256 purposes,uint64 notAfter,uint64 nonce,uint64 deadline)"
    );
    bytes32 private constant REVOKE_TYPEHASH = keccak256("Revoke(bytes32 id,uint64 deadline)");
    bytes32 private constant SUPERSEDE_TYPEHASH = keccak256(
        "Supersede(bytes32 id,bytes32 by,uint64 deadline)"
    );
    bytes32 private constant ADMISSION_TYPEHASH = keccak256(
        "Admission(uint256 agreement,bytes32 ids,uint64 deadline)"
    );

    IStudies private immutable _studies;
    IAgreements private immutable _agreements;
    IEscrow private immutable _escrow;

    mapping(bytes32 id => ConsentSlot slot) private _slots;
    mapping(uint256 agreement => Sold tier) private _sold;

    constructor(IStudies studies, IAgreements agreements, IEscrow escrow) EIP712("Consilium", "1") {
        _studies = studies;
        _agreements = agreements;
        _escrow = escrow;
    }

    modifier onlyEscrow() {
        if (msg.sender != address(_escrow)) revert OnlyEscrow();
        _;
    }

    /// @inheritdoc IConsents
    function grantBatch(
        uint256 agreement,
        GrantMessage[] calldata messages,
        uint64 admissionDeadline,
        bytes calldata admission
    ) external {
        Batch memory batch = _openBatch(agreement);
        bytes32[] memory ids = _idsOf(messages);
        _requireAdmission(batch, ids, admissionDeadline, admission);
        uint256 taken = 0;
        for (uint256 i = 0; i < messages.length; ++i) {
            Skip skip = _grantMessage(batch, messages[i]);
            if (skip == Skip.None) ids[taken++] = messages[i].id;
            else emit GrantSkipped(agreement, messages[i].id, skip);
        }
        _closeBatch(batch, ids, taken);
    }

    /// @inheritdoc IConsents
    function grantBySig(
        address key,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline,
        bytes calldata signature,
        uint64 admissionDeadline,
        bytes calldata admission
    ) external {
        Batch memory batch = _openBatch(agreement);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = idOf(key, agreement, nonce);
        _requireAdmission(batch, ids, admissionDeadline, admission);
        _requireSignature(
            key,
            ids[0],
            deadline,
            _grantDigest(batch, ids[0], nonce, deadline),
            signature
        );
        _require(ids[0], _grant(batch, key, ids[0], nonce));
        _closeBatch(batch, ids, 1);
    }

    /// @inheritdoc IConsents
    function revoke(uint256 agreement, uint64 nonce) external {
        bytes32 id = idOf(msg.sender, agreement, nonce);
        _require(
            id,
            _revoke(msg.sender, agreement, nonce, _knownHospital(agreement), Reason.Patient)
        );
    }

    /// @inheritdoc IConsents
    function revokeBySig(
        address key,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline,
        bytes calldata signature
    ) external {
        bytes32 id = idOf(key, agreement, nonce);
        _requireSignature(key, id, deadline, hashRevoke(id, deadline), signature);
        _require(id, _revoke(key, agreement, nonce, _knownHospital(agreement), Reason.Patient));
    }

    /// @inheritdoc IConsents
    function revokeBatch(RevokeMessage[] calldata messages) external {
        uint256 agreement = 0;
        address hospital = address(0);
        for (uint256 i = 0; i < messages.length; ++i) {
            RevokeMessage calldata message = messages[i];
            if (message.agreement != agreement) {
                agreement = message.agreement;
                // slither-disable-next-line calls-loop: our own contract, once for each agreement in a row
                hospital = _agreements.hospitalOf(agreement);
            }
            bytes32 id = idOf(message.key, agreement, message.nonce);
            Skip skip = _revokeMessage(message, id, hospital);
            if (skip != Skip.None) emit RevokeSkipped(agreement, id, skip);
        }
    }

    /// @inheritdoc IConsents
    function revokeByHospital(Withdrawal[] calldata withdrawals) external {
        for (uint256 i = 0; i < withdrawals.length; ++i) {
            Withdrawal calldata w = withdrawals[i];
            // slither-disable-next-line calls-loop: our own contract, and the caller pays for its list
            if (_agreements.hospitalOf(w.agreement) != msg.sender)
                revert NotTheHospital(msg.sender);
            if (!_isHospitals(w.reason)) revert BadReason();
            Skip skip = _revoke(w.key, w.agreement, w.nonce, msg.sender, w.reason);
            if (skip != Skip.None)
                emit RevokeSkipped(w.agreement, idOf(w.key, w.agreement, w.nonce), skip);
        }
    }

    /// @inheritdoc IConsents
    function amend(Withdrawal calldata corrected, bytes32 record) external {
        if (_agreements.hospitalOf(corrected.agreement) != msg.sender)
            revert NotTheHospital(msg.sender);
        if (record == 0) revert NoRecord();
        bytes32 id = ConsentIds.hash(corrected.key, corrected.agreement, corrected.nonce);
        Reason before = _slots[id].reasonOf();
        bool hospitals = _isHospitals(before) && _isHospitals(corrected.reason);
        if (!hospitals || before == corrected.reason) revert BadReason();
        _slots[id] = _slots[id].because(corrected.reason);
        emit Amended(corrected.agreement, msg.sender, id, before, corrected.reason, record);
    }

    /// @inheritdoc IConsents
    function supersede(Signed calldata old, Signed calldata successor, uint64 deadline) external {
        bytes32 id = ConsentIds.hash(old.key, old.agreement, old.nonce);
        bytes32 by = ConsentIds.hash(successor.key, successor.agreement, successor.nonce);
        bytes32 digest = hashSupersede(id, by, deadline);
        _requireSignature(old.key, id, deadline, digest, old.signature);
        _requireSignature(successor.key, by, deadline, digest, successor.signature);
        if (!_slots[id].isActive(uint64(block.number))) revert Refused(id, Skip.AlreadyUsed);
        Sold memory tier = _sold[old.agreement];
        Sold memory next = _sold[successor.agreement];
        bool akin = tier.hospital == next.hospital && tier.study == next.study && id != by;
        if (!akin || !_slots[by].isActive(uint64(block.number))) revert NoSuccessor(by);
        _require(id, _revoke(old.key, old.agreement, old.nonce, tier.hospital, Reason.Superseded));
        emit Superseded(old.agreement, tier.hospital, id, by);
    }

    /// @inheritdoc IConsents
    function pay(
        bytes32 id,
        address key,
        uint64 nonce,
        uint64 blockNumber
    ) external onlyEscrow returns (Payment memory payment) {
        ConsentSlot slot = _slots[id];
        uint256 agreement = slot.agreementOf();
        Sold memory tier = _sold[agreement];
        (payment.agreement, payment.price) = (agreement, slot.priceOf());
        (payment.hospital, payment.study) = (tier.hospital, tier.study);
        (payment.notAfter, payment.covers) = (tier.notAfter, tier.covers);
        payment.active = slot.isActive(blockNumber);
        payment.owned = ConsentIds.hash(key, agreement, nonce) == id;
        if (!payment.owned) return payment;
        bytes32 first = nonce == 0 ? id : ConsentIds.hash(key, agreement, 0);
        payment.due = _mark(first, nonce == 0 ? slot : _slots[first], ConsentSlots.PAID);
    }

    /// @inheritdoc IConsents
    function markBonusPaid(address key, uint256 agreement) external onlyEscrow returns (bool) {
        bytes32 first = ConsentIds.hash(key, agreement, 0);
        return _mark(first, _slots[first], ConsentSlots.BONUS_PAID);
    }

    /// @inheritdoc IConsents
    function consent(bytes32 id) external view returns (Consent memory) {
        return _slots[id].unpack();
    }

    /// @inheritdoc IConsents
    function activeAt(
        bytes32[] calldata ids,
        uint64 blockNumber
    ) external view returns (uint256[] memory bitmap) {
        bitmap = new uint256[]((ids.length + 255) / 256);
        for (uint256 i = 0; i < ids.length; ++i) {
            if (_slots[ids[i]].isActive(blockNumber)) bitmap[i / 256] |= 1 << (i % 256);
        }
    }

    /// @inheritdoc IConsents
    function isActive(bytes32 id, uint64 blockNumber) external view returns (bool) {
        return _slots[id].isActive(blockNumber);
    }

    /// @inheritdoc IConsents
    function hashGrant(
        bytes32 id,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline
    ) external view returns (bytes32) {
        // slither-disable-next-line uninitialized-local: _readTier fills it
        Batch memory batch;
        _readTier(batch, agreement);
        return _grantDigest(batch, id, nonce, deadline);
    }

    /// @inheritdoc IConsents
    function hashRevoke(bytes32 id, uint64 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REVOKE_TYPEHASH, id, deadline)));
    }

    /// @inheritdoc IConsents
    function hashSupersede(bytes32 id, bytes32 by, uint64 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SUPERSEDE_TYPEHASH, id, by, deadline)));
    }

    /// @inheritdoc IConsents
    function hashAdmission(
        uint256 agreement,
        bytes32[] memory ids,
        uint64 deadline
    ) public view returns (bytes32) {
        bytes32 idsHash = keccak256(abi.encodePacked(ids));
        return
            _hashTypedDataV4(
                keccak256(abi.encode(ADMISSION_TYPEHASH, agreement, idsHash, deadline))
            );
    }

    /// @inheritdoc IConsents
    function idOf(address key, uint256 agreement, uint64 nonce) public pure returns (bytes32) {
        return ConsentIds.hash(key, agreement, nonce);
    }

    function _grantMessage(
        Batch memory batch,
        GrantMessage calldata message
    ) private returns (Skip) {
        if (block.timestamp > message.deadline) return Skip.Expired;
        bytes32 digest = _grantDigest(batch, message.id, message.nonce, message.deadline);
        // slither-disable-next-line unused-return: a failed recovery gives key 0
        (address key, , ) = ECDSA.tryRecover(digest, message.r, message.vs);
        // A failed recovery gives key 0, for which anyone could name an id.
        bool signed = key != address(0) && idOf(key, batch.agreement, message.nonce) == message.id;
        return signed ? _grant(batch, key, message.id, message.nonce) : Skip.BadSignature;
    }

    /// @dev The signature and the admission were checked before.
    function _grant(
        Batch memory batch,
        address key,
        bytes32 id,
        uint64 nonce
    ) private returns (Skip skip) {
        if (batch.ended != Skip.None) return batch.ended;
        if (!_slots[id].isEmpty()) return Skip.AlreadyUsed;
        ConsentSlot slot = ConsentSlots.granted(batch.agreement, batch.price);
        if (nonce == 0) {
            skip = _admitPerson(batch);
            slot = slot.set(ConsentSlots.RESERVED);
        } else {
            skip = _grantAgain(batch, key, nonce);
        }
        if (skip == Skip.None) _slots[id] = slot;
    }

    /// @dev A person whose nonce 0 was burned comes in with a later one: counted and reserved then, in nonce 0's slot.
    function _grantAgain(
        Batch memory batch,
        address key,
        uint64 nonce
    ) private returns (Skip skip) {
        if (!_isRevoked(key, batch.agreement, nonce - 1)) return Skip.PreviousNotRevoked;
        bytes32 first = idOf(key, batch.agreement, 0);
        ConsentSlot slot = _slots[first];
        if (slot.has(ConsentSlots.RESERVED)) return Skip.None;
        skip = _admitPerson(batch);
        if (skip == Skip.None) _slots[first] = slot.set(ConsentSlots.RESERVED);
    }

    function _admitPerson(Batch memory batch) private pure returns (Skip) {
        if (batch.places == batch.people) return Skip.TierFull;
        if (batch.room == batch.people) return Skip.HospitalFull;
        if (batch.price > batch.money) return Skip.NoMoney;
        batch.money -= batch.price;
        ++batch.people;
        return Skip.None;
    }

    function _revokeMessage(
        RevokeMessage calldata message,
        bytes32 id,
        address hospital
    ) private returns (Skip) {
        if (hospital == address(0)) return Skip.UnknownAgreement;
        if (block.timestamp > message.deadline) return Skip.Expired;
        // slither-disable-next-line unused-return: a failed recovery gives key 0
        (address key, , ) = ECDSA.tryRecover(
            hashRevoke(id, message.deadline),
            message.r,
            message.vs
        );
        if (key == address(0) || key != message.key) return Skip.BadSignature;
        return _revoke(key, message.agreement, message.nonce, hospital, Reason.Patient);
    }

    /// @dev Who may withdraw was checked before.
    function _revoke(
        address key,
        uint256 agreement,
        uint64 nonce,
        address hospital,
        Reason reason
    ) private returns (Skip) {
        bytes32 id = idOf(key, agreement, nonce);
        ConsentSlot slot = _slots[id];
        if (slot.isRevoked()) return Skip.AlreadyUsed;
        // Burning ahead of the chain would let one person hold two consents at once.
        bool ahead = slot.isEmpty() && nonce != 0 && !_isRevoked(key, agreement, nonce - 1);
        if (ahead) return Skip.PreviousNotRevoked;
        _slots[id] = slot.revoke(agreement, reason);
        emit Revoked(agreement, hospital, id, reason);
        return Skip.None;
    }

    /// @param first the id of nonce 0, whose slot holds what is due to the person.
    function _mark(bytes32 first, ConsentSlot slot, uint256 flag) private returns (bool) {
        if (!slot.has(ConsentSlots.RESERVED) || slot.has(flag)) return false;
        _slots[first] = slot.set(flag);
        return true;
    }

    /// @dev Makes the batch's effects known and counts its people; `ids` holds the ones that took effect in front.
    function _closeBatch(Batch memory batch, bytes32[] memory ids, uint256 taken) private {
        if (taken == 0) return;
        assembly ("memory-safe") {
            mstore(ids, taken) // taken ≤ ids.length
        }
        emit Granted(batch.agreement, batch.hospital, ids);
        if (_sold[batch.agreement].study == 0) _copyTier(batch);
        if (batch.people == 0) return;
        _agreements.admit(batch.agreement, uint32(batch.people));
        uint256 amount = batch.people * batch.price;
        if (amount != 0) _escrow.reserve(batch.study, amount);
    }

    /// @dev Agreements keeps a study's number in 48 bits. A time beyond 40 bits is later than any deadline that Rounds holds.
    function _copyTier(Batch memory batch) private {
        uint256 last = Math.min(batch.notAfter, type(uint40).max);
        _sold[batch.agreement] = Sold(
            batch.hospital,
            uint48(batch.study),
            uint40(last),
            batch.covers
        );
    }

    function _openBatch(uint256 agreement) private view returns (Batch memory batch) {
        IAgreements.Tier memory tier = _readTier(batch, agreement);
        IStudies.Terms memory terms = _studies.terms(tier.study);
        bool over = block.timestamp > tier.notAfter || block.timestamp > terms.endBy;
        if (tier.closed) batch.ended = Skip.TierClosed;
        else if (over) batch.ended = Skip.TierExpired;
        batch.hospital = tier.hospital;
        batch.places = tier.maxCount - tier.admitted;
        batch.room = terms.maxPatients - _agreements.admittedTo(tier.study, tier.hospital);
        batch.money = _escrow.unreserved(tier.study);
    }

    /// @dev Fills in what the typed message names.
    function _readTier(
        Batch memory batch,
        uint256 agreement
    ) private view returns (IAgreements.Tier memory tier) {
        tier = _agreements.tier(agreement);
        batch.agreement = agreement;
        batch.study = tier.study;
        batch.price = tier.price;
        batch.purposes = tier.purposes;
        batch.notAfter = tier.notAfter;
        batch.covers = tier.covers;
        batch.domain = _domainSeparatorV4();
    }

    function _requireAdmission(
        Batch memory batch,
        bytes32[] memory ids,
        uint64 deadline,
        bytes calldata admission
    ) private view {
        if (msg.sender == batch.hospital) return;
        bytes32 digest = hashAdmission(batch.agreement, ids, deadline);
        bool late = block.timestamp > deadline;
        bool admitted = !late && Signatures.isValid(batch.hospital, digest, admission);
        if (!admitted) revert NotAdmitted(batch.agreement);
    }

    function _requireSignature(
        address key,
        bytes32 id,
        uint64 deadline,
        bytes32 digest,
        bytes calldata signature
    ) private view {
        if (block.timestamp > deadline) revert Refused(id, Skip.Expired);
        if (!Signatures.isValid(key, digest, signature)) revert Refused(id, Skip.BadSignature);
    }

    function _isRevoked(address key, uint256 agreement, uint64 nonce) private view returns (bool) {
        return _slots[idOf(key, agreement, nonce)].isRevoked();
    }

    function _knownHospital(uint256 agreement) private view returns (address hospital) {
        hospital = _agreements.hospitalOf(agreement);
        if (hospital == address(0)) revert IAgreements.UnknownAgreement(agreement);
    }

    function _grantDigest(
        Batch memory batch,
        bytes32 id,
        uint64 nonce,
        uint64 deadline
    ) private pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                GRANT_TYPEHASH,
                id,
                batch.study,
                batch.agreement,
                batch.price,
                batch.purposes,
                batch.notAfter,
                nonce,
                deadline
            )
        );
        return MessageHashUtils.toTypedDataHash(batch.domain, structHash);
    }

    function _idsOf(GrantMessage[] calldata messages) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](messages.length);
        for (uint256 i = 0; i < messages.length; ++i) ids[i] = messages[i].id;
    }

    /// @dev Reasons that a hospital may give; the others are the patient's own act.
    function _isHospitals(Reason reason) private pure returns (bool) {
        return reason >= Reason.Paper && reason <= Reason.Erasure;
    }

    function _require(bytes32 id, Skip skip) private pure {
        if (skip != Skip.None) revert Refused(id, skip);
    }
}

// slither-disable-end timestamp
