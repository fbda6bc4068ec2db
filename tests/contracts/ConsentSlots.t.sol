// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsents} from "../../contracts/interfaces/IConsents.sol";
import {ConsentSlot, ConsentSlots} from "../../contracts/libraries/ConsentSlots.sol";

/// @title What one field of a consent's word holds, no other's shows.
contract ConsentSlotsTest {
    function testFuzz_AGrantedSlotHoldsBlockTierAndPrice(
        uint64 agreement,
        uint96 price,
        uint64 at
    ) external view {
        ConsentSlot slot = ConsentSlots.granted(agreement, price);
        IConsents.Consent memory shown = slot.unpack();
        assert(shown.from == block.number && shown.revoked == 0);
        assert(shown.agreement == agreement && slot.agreementOf() == agreement);
        assert(slot.priceOf() == price);
        assert(slot.isActive(at) == (at >= block.number));
        assert(!shown.reserved && !shown.paid && !shown.bonusPaid);
    }

    function testFuzz_AWithdrawalChangesItsOwnFieldsAlone(
        uint64 agreement,
        uint96 price,
        uint8 given,
        uint8 corrected,
        uint64 at
    ) external view {
        IConsents.Reason reason = IConsents.Reason(1 + (given % 6));
        ConsentSlot paid = ConsentSlots.granted(agreement, price).set(ConsentSlots.RESERVED).set(
            ConsentSlots.PAID
        );
        ConsentSlot slot = paid.revoke(agreement, reason);
        assert(slot.isRevoked() && slot.reasonOf() == reason);
        assert(!slot.isActive(at) || at < block.number);
        assert(slot.has(ConsentSlots.PAID) && !slot.has(ConsentSlots.BONUS_PAID));
        assert(slot.agreementOf() == agreement && slot.priceOf() == price);
        IConsents.Reason other = IConsents.Reason(1 + (corrected % 6));
        ConsentSlot amended = slot.because(other);
        assert(amended.reasonOf() == other);
        assert(ConsentSlot.unwrap(amended.because(reason)) == ConsentSlot.unwrap(slot));
    }

    function testFuzz_ABurnedIdWasNeverActive(uint64 agreement, uint64 at) external view {
        ConsentSlot slot = ConsentSlot.wrap(0).revoke(agreement, IConsents.Reason.Patient);
        assert(!slot.isActive(at) && slot.isRevoked() && !slot.isEmpty());
        assert(slot.agreementOf() == agreement && slot.priceOf() == 0);
    }
}
