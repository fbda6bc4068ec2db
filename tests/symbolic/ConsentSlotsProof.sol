// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsents} from "../../contracts/interfaces/IConsents.sol";
import {ConsentSlot, ConsentSlots} from "../../contracts/libraries/ConsentSlots.sol";
import {Cheats} from "./Cheats.sol";

/// @title A consent's word, for every word and every value of its fields.
/// @dev Nothing is bounded but the block's number, which 40 bits hold: 34,000 years of seconds.
contract ConsentSlotsProof {
    Cheats private constant VM = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint256 private constant FROM = type(uint40).max;
    uint256 private constant REVOKED = FROM << 40;
    uint256 private constant AGREEMENT = uint256(type(uint64).max) << 80;
    uint256 private constant REASON = uint256(type(uint8).max) << 144;
    uint256 private constant FLAGS =
        ConsentSlots.RESERVED | ConsentSlots.PAID | ConsentSlots.BONUS_PAID;
    uint256 private constant UNUSED = uint256(31) << 155;
    uint256 private constant PRICE = uint256(type(uint96).max) << 160;

    function check_TheFieldsShareNoBitAndFillTheWord() external pure {
        uint256[7] memory fields = [FROM, REVOKED, AGREEMENT, REASON, FLAGS, UNUSED, PRICE];
        (uint256 all, uint256 sum) = (0, 0);
        for (uint256 i = 0; i < 7; ++i) {
            assert(all & fields[i] == 0);
            (all, sum) = (all | fields[i], sum + fields[i]);
        }
        assert(all == type(uint256).max && sum == all);
    }

    function check_AGrantReadsBackAsWhatWasGranted(
        uint40 number,
        uint64 agreement,
        uint96 price,
        uint64 at
    ) external {
        VM.assume(number != 0);
        VM.roll(number);
        ConsentSlot slot = ConsentSlots.granted(agreement, price);
        IConsents.Consent memory shown = slot.unpack();
        assert(shown.from == number && shown.revoked == 0);
        assert(shown.agreement == agreement && slot.agreementOf() == agreement);
        assert(slot.priceOf() == price && shown.reason == IConsents.Reason.None);
        assert(!shown.reserved && !shown.paid && !shown.bonusPaid);
        assert(slot.isActive(at) == (at >= number) && !slot.isRevoked() && !slot.isEmpty());
    }

    /// @dev Unpacking loses nothing: packed again by the layout that the type states, it is the word.
    function check_WhatUnpackShowsIsTheWholeWord(uint256 word) external pure {
        VM.assume(word & UNUSED == 0 && uint8(word >> 144) <= uint8(type(IConsents.Reason).max));
        ConsentSlot slot = ConsentSlot.wrap(word);
        IConsents.Consent memory shown = slot.unpack();
        uint256 packed = shown.from | (uint256(shown.revoked) << 40);
        packed |= (uint256(shown.agreement) << 80) | (uint256(shown.reason) << 144);
        packed |= shown.reserved ? ConsentSlots.RESERVED : 0;
        packed |= shown.paid ? ConsentSlots.PAID : 0;
        packed |= shown.bonusPaid ? ConsentSlots.BONUS_PAID : 0;
        assert(packed | (slot.priceOf() << 160) == word);
    }

    /// @dev Of any word, sound or not: from, price and the three flags are never cleared, and never set.
    function check_AWithdrawalChangesItsOwnFieldsAlone(
        uint256 word,
        uint40 number,
        uint64 agreement,
        uint8 given
    ) external {
        VM.assume(number != 0 && given <= uint8(type(IConsents.Reason).max));
        VM.roll(number);
        ConsentSlot slot = ConsentSlot.wrap(word).revoke(agreement, IConsents.Reason(given));
        uint256 now_ = ConsentSlot.unwrap(slot);
        assert((now_ ^ word) & ~(REVOKED | AGREEMENT | REASON) == 0);
        assert(now_ & word == word);
        assert(slot.isRevoked() && !slot.isEmpty());
    }

    /// @dev Of a slot that was never revoked, for this tier or empty: what Consents calls it with.
    function check_AWithdrawalReadsBackAsWhatWasWithdrawn(
        uint256 word,
        uint40 number,
        uint64 agreement,
        uint8 given,
        uint64 at
    ) external {
        ConsentSlot before = ConsentSlot.wrap(word);
        VM.assume(number != 0 && given <= uint8(type(IConsents.Reason).max));
        VM.assume(word & (REVOKED | REASON) == 0);
        VM.assume(before.isEmpty() || before.agreementOf() == agreement);
        VM.roll(number);
        ConsentSlot slot = before.revoke(agreement, IConsents.Reason(given));
        IConsents.Consent memory shown = slot.unpack();
        assert(shown.revoked == number && uint8(shown.reason) == given);
        assert(shown.agreement == agreement && slot.reasonOf() == IConsents.Reason(given));
        assert(slot.isActive(at) == (before.isActive(at) && at < number));
    }

    function check_AnotherReasonChangesTheReasonAlone(uint256 word, uint8 given) external pure {
        VM.assume(given <= uint8(type(IConsents.Reason).max));
        ConsentSlot slot = ConsentSlot.wrap(word).because(IConsents.Reason(given));
        assert((ConsentSlot.unwrap(slot) ^ word) & ~REASON == 0);
        assert(uint8(slot.reasonOf()) == given);
    }

    function check_AFlagIsSetAloneAndNoneIsCleared(uint256 word, uint8 which) external pure {
        VM.assume(which < 3);
        uint256 flag = ConsentSlots.RESERVED << which;
        ConsentSlot slot = ConsentSlot.wrap(word).set(flag);
        assert(ConsentSlot.unwrap(slot) == word | flag && slot.has(flag));
        assert(flag & ~FLAGS == 0);
    }

    function check_ActiveMeansFromUpToTheBlockBeforeRevoked(uint256 word, uint64 at) external pure {
        (uint256 from, uint256 revoked) = (word & FROM, (word & REVOKED) >> 40);
        bool active = from != 0 && from <= at && (revoked == 0 || at < revoked);
        assert(ConsentSlot.wrap(word).isActive(at) == active);
    }
}
