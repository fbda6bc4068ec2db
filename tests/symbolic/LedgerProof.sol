// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../../contracts/Escrow.sol";
import {DevelopmentToken} from "../../contracts/dev/DevelopmentToken.sol";
import {IAgreements} from "../../contracts/interfaces/IAgreements.sol";
import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IConsents} from "../../contracts/interfaces/IConsents.sol";
import {IEscrow} from "../../contracts/interfaces/IEscrow.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {IStudies} from "../../contracts/interfaces/IStudies.sol";
import {Cheats, Symbols} from "./Cheats.sol";

/// @dev All that the escrow calls but the token: its storage may hold anything, so it answers anything.
contract Others {
    struct Times {
        uint64 endBy;
        uint64 settleBy;
        uint64 challengeEnd;
        uint64 claimEnd;
        uint64 refundAt;
        bool byContribution;
    }

    Times private _times;
    IConsents.Payment private _payment;
    bytes32 private _committed;
    uint64 private _submitBy;
    uint256 private _barred;
    uint256 private _openDemands;
    address private _hospital;

    function terms(uint256) external view returns (IStudies.Terms memory t) {
        (t.endBy, t.settleBy, t.challengeEnd) = (
            _times.endBy,
            _times.settleBy,
            _times.challengeEnd
        );
        (t.claimEnd, t.refundAt) = (_times.claimEnd, _times.refundAt);
        t.rule =
            _times.byContribution ? IStudies.RewardRule.Contribution : IStudies.RewardRule.Count;
    }

    function hospitalAt(uint256, uint256) external view returns (address) {
        return _hospital;
    }

    function payableCohort(uint256, uint256, uint256) external view returns (bytes32, uint64) {
        return (_committed, _submitBy);
    }

    function pay(
        bytes32,
        address,
        uint64,
        uint64
    ) external view returns (IConsents.Payment memory) {
        return _payment;
    }

    function barred(uint256) external view returns (uint256) {
        return _barred;
    }

    function openDemands(uint256, uint256) external view returns (uint256) {
        return _openDemands;
    }
}

/// @title What each step of the escrow does to a study's books, whatever they hold.
/// @dev Escrow and token are the real ones, the escrow in any state at all, sound or not. Each step changes one sum alone, by
/// what was asked, and never beyond what was there. From these follows by hand (docs/adr/0067): Σclaimed + Σrefunded ≤
/// Σfunded.
contract LedgerProof {
    Cheats private constant VM = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    Symbols private constant SVM = Symbols(0xF3993A62377BCd56AE39D773740A5390411E8BC9);

    uint256 private constant STUDY = 1;

    Others private _others;
    Escrow private _escrow;
    DevelopmentToken private _token;

    function setUp() external {
        _others = new Others();
        _token = new DevelopmentToken();
        address others = address(_others);
        _escrow = new Escrow(
            IStudies(others),
            IAgreements(others),
            IConsents(others),
            IRounds(others),
            IChallenges(others)
        );
        _token.mint(address(this), type(uint128).max);
        _token.mint(address(_escrow), type(uint128).max);
        _token.approve(address(_escrow), type(uint256).max);
    }

    function check_FundingAddsToWhatWasFundedAlone(uint256 amount) external {
        IEscrow.Account memory before = _anyBooks();
        _does(address(this), abi.encodeCall(Escrow.fund, (STUDY, amount)));
        unchecked {
            before.funded += amount;
        }
        _mustBe(before);
    }

    /// @dev Only out of what is unreserved, and only for Consents.
    function check_ReservingTakesOutOfTheUnreservedAlone(uint256 amount, address caller) external {
        IEscrow.Account memory before = _anyBooks();
        uint256 free = _free();
        _does(caller, abi.encodeCall(Escrow.reserve, (STUDY, amount)));
        assert(amount <= free && caller == address(_others));
        unchecked {
            before.reserved += amount;
        }
        _mustBe(before);
    }

    /// @dev Only what Consents says is due, and its price: to the unit, and once.
    function check_APatientIsPaidThePriceThatIsDueAlone(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf
    ) external {
        IEscrow.Account memory before = _anyBooks();
        IConsents.Payment memory due = _others.pay(0, address(0), 0, 0);
        VM.assume(freeze.study == STUDY && due.price <= type(uint96).max);
        bytes32[] memory proof = new bytes32[](0);
        address to = address(this);
        _does(to, abi.encodeCall(Escrow.claim, (freeze, leaf, proof, 0, to)));
        assert(due.due && due.owned && due.active && due.covers && due.study == STUDY);
        unchecked {
            before.paidPatients += due.price;
            ++before.patients;
        }
        _mustBe(before);
    }

    /// @dev By a root, no more than the root's total in sum; the total is no more than was set aside.
    function check_AHospitalIsPaidOutOfTheRootsTotalAlone(uint256 index, uint256 amount) external {
        IEscrow.Account memory before = _anyBooks();
        (, uint256 total, , bool rejected) = _escrow.rewardRoot(STUDY);
        bytes32[] memory proof = new bytes32[](0);
        bytes memory step = abi.encodeCall(
            Escrow.claimHospitalByRoot,
            (STUDY, index, amount, proof)
        );
        _does(address(this), step);
        assert(!rejected && amount <= total - before.paidHospitals);
        unchecked {
            before.paidHospitals += amount;
        }
        _mustBe(before);
    }

    function check_ARootPromisesNoMoreThanWasSetAside(
        bytes32 root,
        uint256 total,
        address caller
    ) external {
        IEscrow.Account memory before = _anyBooks();
        _does(caller, abi.encodeCall(Escrow.postRewardRoot, (STUDY, root, total)));
        assert(caller == before.center && total <= before.setAside);
        _mustBe(before);
    }

    /// @dev Before the refund's time what is unreserved, from then on what was not claimed: then nothing is left at all.
    function check_ARefundTakesTheUnreservedOrTheUnclaimedAlone(uint64 now_) external {
        IEscrow.Account memory before = _anyBooks();
        VM.warp(now_);
        uint256 free = _free();
        IStudies.Terms memory terms = _others.terms(STUDY);
        _does(address(this), abi.encodeCall(Escrow.refund, (STUDY)));
        assert(now_ > terms.endBy);
        bool early = now_ < terms.refundAt;
        unchecked {
            uint256 left = before.funded - before.paidPatients - before.paidHospitals;
            before.refunded = early ? before.refunded + free : left;
        }
        _mustBe(before);
    }

    /// @dev What is free and what is bound are what was funded; where more is bound, nothing is free. Solidity's own check
    /// of the difference never stops it, for amounts of up to 32 bits: wider sums take the solver too long.
    function check_FreeIsWhatIsNotBoundOrNothing() external {
        IEscrow.Account memory books = _anyBooks();
        VM.assume(books.setAside <= type(uint32).max && books.reserved <= type(uint32).max);
        VM.assume(books.refunded <= type(uint32).max && books.funded <= type(uint32).max);
        uint256 free = _escrow.unreserved(STUDY);
        unchecked {
            uint256 bound = books.setAside + books.reserved + books.refunded;
            assert(free == 0 || free + bound == books.funded);
        }
    }

    function _anyBooks() private returns (IEscrow.Account memory books) {
        SVM.enableSymbolicStorage(address(_escrow));
        SVM.enableSymbolicStorage(address(_others));
        books = _escrow.account(STUDY);
        VM.assume(books.token == address(_token));
    }

    function _free() private view returns (uint256) {
        (bool done, bytes memory told) = address(_escrow).staticcall(
            abi.encodeCall(Escrow.unreserved, (STUDY))
        );
        VM.assume(done);
        return abi.decode(told, (uint256));
    }

    /// @dev A step that is refused undoes itself: only those that take effect are looked at.
    function _does(address caller, bytes memory step) private {
        VM.prank(caller);
        (bool done, ) = address(_escrow).call(step);
        VM.assume(done);
    }

    /// @dev Each sum, so that a step that changes another one is found out.
    function _mustBe(IEscrow.Account memory wanted) private view {
        IEscrow.Account memory books = _escrow.account(STUDY);
        assert(books.token == wanted.token && books.center == wanted.center);
        assert(books.funded == wanted.funded && books.setAside == wanted.setAside);
        assert(books.reserved == wanted.reserved && books.refunded == wanted.refunded);
        assert(books.paidPatients == wanted.paidPatients && books.patients == wanted.patients);
        assert(books.paidHospitals == wanted.paidHospitals);
        assert(books.pot == wanted.pot && books.potPaid == wanted.potPaid);
    }
}
