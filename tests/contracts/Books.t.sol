// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsents} from "../../contracts/interfaces/IConsents.sol";
import {IEscrow} from "../../contracts/interfaces/IEscrow.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {Walker} from "./Walker.sol";

/// @title Whatever anybody does, in whatever order and at whatever time, these hold.
contract BooksTest {
    struct Target {
        address at;
        string[] names;
    }

    Walker private _walker;

    function setUp() external {
        _walker = new Walker();
    }

    /// @dev All that is called between two looks is the walker, known by its name: its code holds the other contracts'.
    function targetInterfaces() external view returns (Target[] memory targets) {
        targets = new Target[](1);
        targets[0].at = address(_walker);
        targets[0].names = new string[](1);
        targets[0].names[0] = "Walker";
    }

    /// @dev The walker's moves are moves: one of each kind up to a payment takes effect.
    function test_AWalkCanReachAPayment() external {
        _walker.grants(0, 0, 0);
        _walker.opens(0);
        _walker.freezes(0, 0, 0);
        _walker.submits(0);
        _walker.waits(110);
        _walker.finalizes(1, "next");
        _walker.claims(0, 0);
        assert(_walker.moves() == 6);
        assert(_walker.escrow().account(1).paidPatients == 100);
    }

    function test_AWalkCanRestoreWhoWasLeftOut() external {
        for (uint8 h = 0; h < 2; ++h) _walker.grants(h, 0, 0);
        _walker.opens(0);
        for (uint8 h = 0; h < 2; ++h) _walker.freezes(h, 0, 0);
        for (uint8 h = 0; h < 2; ++h) _walker.submits(h);
        _walker.waits(110);
        _walker.finalizes(1, "next");
        _walker.restores(0, 1);
        assert(_walker.moves() == 9);
        assert(_walker.rounds().restored(1, 1) == 2);
    }

    function invariant_TheEscrowHoldsWhatItOwesToTheUnit() external view {
        IEscrow escrow = _walker.escrow();
        IEscrow.Account memory books = escrow.account(1);
        uint256 owed =
            books.funded -
                books.paidPatients -
                books.paidHospitals -
                books.refunded +
                books.pot -
                books.potPaid +
                escrow.depositOf(1, _walker.CENTER());
        for (uint256 h = 0; h < _walker.HOSPITALS(); ++h) {
            address hospital = _walker.hospitalAt(h);
            owed += escrow.bondOf(1, hospital) + escrow.depositOf(1, hospital);
            // A deposit lies there while its demand is open.
            owed += 10 * _walker.challenges().openDemands(1, h);
        }
        assert(_walker.token().balanceOf(address(escrow)) == owed);
    }

    function invariant_NoMoreIsPaidThanWasFundedAndSetAside() external view {
        IEscrow.Account memory books = _walker.escrow().account(1);
        assert(books.paidPatients + books.paidHospitals + books.refunded <= books.funded);
        assert(books.paidPatients <= books.reserved);
        assert(books.paidHospitals <= books.setAside);
        assert(books.setAside + books.reserved <= books.funded);
        assert(books.potPaid <= books.pot);
    }

    function invariant_APersonHoldsOneConsentAndIsPaidOnce() external view {
        IConsents consents = _walker.consents();
        (uint256 paid, uint256 reserved, uint256 people) = (0, 0, 0);
        for (uint256 h = 0; h < _walker.HOSPITALS(); ++h) {
            uint256 here = 0;
            for (uint256 p = 0; p < _walker.PEOPLE(); ++p) {
                IConsents.Consent memory first = consents.consent(_walker.idOf(h, p, 0));
                assert(!first.paid || first.reserved);
                if (first.reserved) ++here;
                if (first.paid) (paid, people) = (paid + 100 + h, people + 1);
                _holdsOne(consents, h, p);
            }
            assert(here <= 2 && here == _walker.agreements().tier(h + 1).admitted);
            reserved += here * (100 + h);
        }
        IEscrow.Account memory books = _walker.escrow().account(1);
        assert(books.paidPatients == paid && books.patients == people);
        assert(books.reserved == reserved);
    }

    function invariant_ARoundIsWhatItsHospitalsMadeOfIt() external view {
        IRounds rounds = _walker.rounds();
        uint256 count = rounds.count(1);
        assert(count <= _walker.ROUNDS());
        for (uint256 number = 1; number <= count; ++number) {
            IRounds.Round memory round = rounds.round(1, number);
            assert(round.frozen & ~round.enrolled == 0);
            assert(round.submitted & ~round.frozen == 0);
            assert(round.voided & ~round.frozen == 0);
            assert(round.included & ~round.submitted == 0);
            assert(rounds.restored(1, number) & ~(round.submitted & ~round.included) == 0);
            assert(
                round.finalized == (round.included != 0) && round.finalized == (round.state != 0)
            );
            assert(round.contaminated == (round.included & round.voided != 0));
            assert(round.voided & ~rounds.barred(1) == 0);
            assert(!round.finalized || (round.reached && !round.lapsed));
            assert(number == count || rounds.isOver(1, number));
            assert(round.parent < number);
            bytes32 from =
                round.parent == 0 ? bytes32("state") : rounds.round(1, round.parent).state;
            assert(round.startState == from && from != 0);
        }
    }

    function invariant_NoWeightCountsThatTheTotalDoesNotHold() external view {
        (uint256[] memory weights, uint256 total) = _walker.rounds().countedWeights(1);
        for (uint256 h = 0; h < weights.length; ++h) total -= weights[h];
        assert(total == 0);
    }

    function invariant_WhoWasVoidedHasNeitherShareNorBond() external view {
        uint256 barred = _walker.rounds().barred(1);
        for (uint256 h = 0; h < _walker.HOSPITALS(); ++h) {
            if ((barred >> h) & 1 == 0) continue;
            assert(_walker.escrow().shareOf(1, h) == 0);
            assert(_walker.escrow().bondOf(1, _walker.hospitalAt(h)) == 0);
        }
    }

    function _holdsOne(IConsents consents, uint256 hospital, uint256 person) private view {
        uint256 active = 0;
        bool before = true;
        for (uint64 nonce = 0; nonce < _walker.NONCES(); ++nonce) {
            bytes32 id = _walker.idOf(hospital, person, nonce);
            IConsents.Consent memory one = consents.consent(id);
            if (consents.isActive(id, _walker.blockNumber())) ++active;
            // Nothing stands under a nonce before the one below it was revoked.
            assert(before || (one.from == 0 && one.revoked == 0));
            before = one.revoked != 0;
        }
        assert(active <= 1);
    }
}
