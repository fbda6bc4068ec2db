// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsents} from "../interfaces/IConsents.sol";

/// @dev One word a consent, from the lowest bit: from 40, revoked 40, agreement 64, reason 8, reserved, paid, bonusPaid, and
/// from 160 the price, 96.
type ConsentSlot is uint256;

using ConsentSlots for ConsentSlot global;

/// @title The packed slot of one consent.
library ConsentSlots {
    uint256 internal constant RESERVED = 1 << 152;
    uint256 internal constant PAID = 1 << 153;
    uint256 internal constant BONUS_PAID = 1 << 154;

    uint256 private constant REVOKED_AT = 40;
    uint256 private constant AGREEMENT_AT = 80;
    uint256 private constant REASON_AT = 144;
    uint256 private constant PRICE_AT = 160;

    /// @notice The slot of a consent granted in this block.
    function granted(uint256 agreement, uint256 price) internal view returns (ConsentSlot) {
        return ConsentSlot.wrap(block.number | (agreement << AGREEMENT_AT) | (price << PRICE_AT));
    }

    /// @notice The slot revoked in this block; an empty one is burned by it. It must not be revoked yet.
    function revoke(
        ConsentSlot slot,
        uint256 agreement,
        IConsents.Reason reason
    ) internal view returns (ConsentSlot) {
        uint256 word =
            (block.number << REVOKED_AT) |
                (agreement << AGREEMENT_AT) |
                (uint256(reason) << REASON_AT);
        return ConsentSlot.wrap(ConsentSlot.unwrap(slot) | word);
    }

    /// @notice The slot with another reason; it must be revoked.
    function because(
        ConsentSlot slot,
        IConsents.Reason reason
    ) internal pure returns (ConsentSlot) {
        uint256 cleared = ConsentSlot.unwrap(slot) & ~(uint256(type(uint8).max) << REASON_AT);
        return ConsentSlot.wrap(cleared | (uint256(reason) << REASON_AT));
    }

    function reasonOf(ConsentSlot slot) internal pure returns (IConsents.Reason) {
        return IConsents.Reason(uint8(ConsentSlot.unwrap(slot) >> REASON_AT));
    }

    function set(ConsentSlot slot, uint256 flag) internal pure returns (ConsentSlot) {
        return ConsentSlot.wrap(ConsentSlot.unwrap(slot) | flag);
    }

    function has(ConsentSlot slot, uint256 flag) internal pure returns (bool) {
        return ConsentSlot.unwrap(slot) & flag != 0;
    }

    function isEmpty(ConsentSlot slot) internal pure returns (bool) {
        return ConsentSlot.unwrap(slot) == 0;
    }

    function isRevoked(ConsentSlot slot) internal pure returns (bool) {
        return uint40(ConsentSlot.unwrap(slot) >> REVOKED_AT) != 0;
    }

    /// @notice from ≤ b < revoked.
    function isActive(ConsentSlot slot, uint64 blockNumber) internal pure returns (bool) {
        uint256 from = uint40(ConsentSlot.unwrap(slot));
        uint256 revoked = uint40(ConsentSlot.unwrap(slot) >> REVOKED_AT);
        return from != 0 && from <= blockNumber && (revoked == 0 || blockNumber < revoked);
    }

    function agreementOf(ConsentSlot slot) internal pure returns (uint256) {
        return uint64(ConsentSlot.unwrap(slot) >> AGREEMENT_AT);
    }

    function priceOf(ConsentSlot slot) internal pure returns (uint256) {
        return ConsentSlot.unwrap(slot) >> PRICE_AT;
    }

    function unpack(ConsentSlot slot) internal pure returns (IConsents.Consent memory) {
        uint256 word = ConsentSlot.unwrap(slot);
        return
            IConsents.Consent({
                from: uint40(word),
                revoked: uint40(word >> REVOKED_AT),
                agreement: uint64(word >> AGREEMENT_AT),
                reason: reasonOf(slot),
                reserved: has(slot, RESERVED),
                paid: has(slot, PAID),
                bonusPaid: has(slot, BONUS_PAID)
            });
    }
}
