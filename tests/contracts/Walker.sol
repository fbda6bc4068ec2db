// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {Agreements} from "../../contracts/Agreements.sol";
import {Challenges} from "../../contracts/Challenges.sol";
import {Consents} from "../../contracts/Consents.sol";
import {Escrow} from "../../contracts/Escrow.sol";
import {Participants} from "../../contracts/Participants.sol";
import {Rounds} from "../../contracts/Rounds.sol";
import {Studies} from "../../contracts/Studies.sol";
import {DevelopmentToken} from "../../contracts/dev/DevelopmentToken.sol";
import {IAgreements} from "../../contracts/interfaces/IAgreements.sol";
import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IConsents} from "../../contracts/interfaces/IConsents.sol";
import {IParticipants} from "../../contracts/interfaces/IParticipants.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {IStudies} from "../../contracts/interfaces/IStudies.sol";
import {ConsentIds} from "../../contracts/libraries/ConsentIds.sol";

/// @dev What Hardhat's own EVM lets a test do.
interface Vm {
    function prank(address sender) external;
    function roll(uint256 number) external;
    function warp(uint256 timestamp) external;
    function setBlockhash(uint256 number, bytes32 hash) external;
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8, bytes32, bytes32);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
    function getNonce(address account) external view returns (uint64);
}

/// @title One study with three hospitals, each with a tier, and whoever acts in it, in any order and at any time.
/// @dev A move that the contracts refuse is no move. Time and block are kept here, for the compiler takes those of the EVM
/// as one for a whole transaction.
contract Walker {
    uint256 public constant HOSPITALS = 3;
    uint256 public constant PEOPLE = 3;
    uint256 public constant NONCES = 3;
    uint256 public constant ROUNDS = 6;
    uint256 public constant BOND = 1_000;
    address public constant CENTER = address(0xCE);
    address public constant AUDITOR = address(0xA0);

    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    DevelopmentToken public token;
    Participants public participants;
    Studies public studies;
    Agreements public agreements;
    Consents public consents;
    Rounds public rounds;
    Challenges public challenges;
    Escrow public escrow;

    uint256 public moves;
    uint256 private _number = 1_000;
    uint256 private _now = 1_000_000;
    mapping(uint256 round => mapping(uint256 hospital => IRounds.Freeze freeze)) private _freezes;
    mapping(uint256 round => mapping(uint256 hospital => IChallenges.Leaf leaf)) private _leaves;
    mapping(uint256 round => mapping(uint256 hospital => uint64 nonce)) private _nonces;
    mapping(uint256 round => mapping(uint256 hospital => uint256 person)) private _people;

    constructor() {
        VM.warp(_now);
        VM.roll(_number);
        _deploy();
        _begin();
    }

    // ---------------------------------------------------------------- moves

    function waits(uint16 time) external {
        _now += time % 120;
        VM.warp(_now);
    }

    function waitsLong(uint16 time) external {
        _now += time % 3_000;
        VM.warp(_now);
    }

    function grants(uint8 hospital, uint8 person, uint8 nonce) external {
        (uint256 h, uint64 n) = (hospital % HOSPITALS, uint64(nonce % NONCES));
        uint256 key = keyOf(h, person % PEOPLE);
        bytes32 id = ConsentIds.hash(VM.addr(key), h + 1, n);
        bytes32 digest = consents.hashGrant(id, h + 1, n, type(uint64).max);
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        IConsents.GrantMessage[] memory list = new IConsents.GrantMessage[](1);
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        list[0] = IConsents.GrantMessage(id, n, type(uint64).max, r, vs);
        _as(hospitalAt(h));
        try consents.grantBatch(h + 1, list, 0, "") {
            ++moves;
        } catch {}
    }

    function revokes(uint8 hospital, uint8 person, uint8 nonce) external {
        uint256 h = hospital % HOSPITALS;
        _as(VM.addr(keyOf(h, person % PEOPLE)));
        try consents.revoke(h + 1, uint64(nonce % NONCES)) {
            ++moves;
        } catch {}
    }

    function opens(uint8 parent) external {
        uint256 from = parent % (rounds.count(1) + 1);
        bytes32 state = from == 0 ? bytes32("state") : rounds.round(1, from).state;
        _as(CENTER);
        try rounds.open(1, from, state) {
            ++moves;
        } catch {}
    }

    /// @dev A cohort of one: of a person with this nonce, whether or not that consent holds.
    function freezes(uint8 hospital, uint8 person, uint8 nonce) external {
        (uint256 h, uint256 round) = (hospital % HOSPITALS, rounds.count(1));
        (uint256 p, uint64 n) = (person % PEOPLE, uint64(nonce % NONCES));
        bytes32 id = ConsentIds.hash(VM.addr(keyOf(h, p)), h + 1, n);
        IChallenges.Leaf memory leaf = IChallenges.Leaf(0, id, keccak256("record"));
        IRounds.Freeze memory freeze = _freezeOf(round, h, this.hashOf(leaf));
        _as(hospitalAt(h));
        try rounds.freeze(freeze) {
            (_freezes[round][h], _leaves[round][h]) = (freeze, leaf);
            (_nonces[round][h], _people[round][h]) = (n, p);
            ++moves;
        } catch {}
    }

    function submits(uint8 hospital) external {
        uint256 round = rounds.count(1);
        _as(hospitalAt(hospital % HOSPITALS));
        try rounds.submit(1, round, "manifest", "commitment") {
            ++moves;
        } catch {}
    }

    function finalizes(uint8 included, bytes32 state) external {
        uint256 round = rounds.count(1);
        _as(CENTER);
        try rounds.finalize(1, round, included % 8, state, "manifest") {
            ++moves;
        } catch {}
    }

    function lapses(uint8 round) external {
        try rounds.lapse(1, 1 + (round % ROUNDS)) {
            ++moves;
        } catch {}
    }

    function challengesLeaf(uint8 round, uint8 hospital) external {
        (uint256 r, uint256 h) = (1 + (round % ROUNDS), hospital % HOSPITALS);
        try challenges.challengeLeaf(_freezes[r][h], _leaves[r][h], new bytes32[](0)) {
            ++moves;
        } catch {}
    }

    function demands(uint8 round, uint8 hospital) external {
        (uint256 r, uint256 h) = (1 + (round % ROUNDS), hospital % HOSPITALS);
        _as(CENTER);
        try challenges.demand(_freezes[r][h], 0) {
            ++moves;
        } catch {}
    }

    function answers(uint8 round, uint8 hospital) external {
        (uint256 r, uint256 h) = (1 + (round % ROUNDS), hospital % HOSPITALS);
        try challenges.answer(_freezes[r][h], _leaves[r][h], new bytes32[](0)) {
            ++moves;
        } catch {}
    }

    function expires(uint8 round, uint8 hospital) external {
        (uint256 r, uint256 h) = (1 + (round % ROUNDS), hospital % HOSPITALS);
        try challenges.expire(_freezes[r][h], 0) {
            ++moves;
        } catch {}
    }

    function restores(uint8 round, uint8 hospital) external {
        _as(AUDITOR);
        try challenges.restore(1, 1 + (round % ROUNDS), hospital % HOSPITALS) {
            ++moves;
        } catch {}
    }

    function claims(uint8 round, uint8 hospital) external {
        (uint256 r, uint256 h) = (1 + (round % ROUNDS), hospital % HOSPITALS);
        _as(VM.addr(keyOf(h, _people[r][h])));
        try
            escrow.claim(
                _freezes[r][h],
                _leaves[r][h],
                new bytes32[](0),
                _nonces[r][h],
                address(0xBEEF)
            )
        {
            ++moves;
        } catch {}
    }

    function claimsHospital(uint8 hospital) external {
        try escrow.claimHospital(1, hospital % HOSPITALS) {
            ++moves;
        } catch {}
    }

    function takesBack(uint8 hospital, uint8 what) external {
        address account = what % 3 == 2 ? CENTER : hospitalAt(hospital % HOSPITALS);
        try escrow.returnBond(1, account) {
            ++moves;
        } catch {}
        try escrow.withdrawDeposit(1, account) {
            ++moves;
        } catch {}
    }

    function funds(uint16 amount) external {
        _as(CENTER);
        try escrow.fund(1, amount) {
            ++moves;
        } catch {}
    }

    function refunds() external {
        try escrow.refund(1) {
            ++moves;
        } catch {}
    }

    // ---------------------------------------------------------------- who and what

    function keyOf(uint256 hospital, uint256 person) public pure returns (uint256) {
        return 1 + uint256(keccak256(abi.encode(hospital, person))) / 2;
    }

    function idOf(uint256 hospital, uint256 person, uint64 nonce) external pure returns (bytes32) {
        return ConsentIds.hash(VM.addr(keyOf(hospital, person)), hospital + 1, nonce);
    }

    function hospitalAt(uint256 index) public pure returns (address) {
        return address(uint160(0x1000 + index));
    }

    function hashOf(IChallenges.Leaf calldata leaf) external view returns (bytes32) {
        return challenges.hashLeaf(leaf);
    }

    function blockNumber() external view returns (uint64) {
        return uint64(_number);
    }

    /// @dev Each move stands in a block of its own.
    function _as(address sender) private {
        VM.roll(++_number);
        VM.setBlockhash(_number - 1, keccak256(abi.encode(_number - 1)));
        VM.prank(sender);
    }

    function _freezeOf(
        uint256 round,
        uint256 hospital,
        bytes32 root
    ) private view returns (IRounds.Freeze memory) {
        // _as makes one block more before it is sent.
        bytes32 hash = keccak256(abi.encode(_number));
        return IRounds.Freeze(1, round, hospital, uint64(_number), hash, root, 1, 1, "leaves", 0);
    }

    // ---------------------------------------------------------------- beginning

    function _deploy() private {
        uint256 nonce = VM.getNonce(address(this));
        address[9] memory at;
        for (uint256 i = 0; i < at.length; ++i)
            at[i] = VM.computeCreateAddress(address(this), nonce + i);
        new AccessManager(address(this));
        participants = new Participants(at[0]);
        studies = new Studies(participants, Escrow(at[7]));
        agreements = new Agreements(studies, at[4]);
        consents = new Consents(studies, agreements, Escrow(at[7]));
        rounds = new Rounds(studies, Escrow(at[7]), at[6]);
        challenges = new Challenges(studies, agreements, consents, rounds, Escrow(at[7]));
        escrow = new Escrow(studies, agreements, consents, rounds, challenges);
        token = new DevelopmentToken();
    }

    function _begin() private {
        participants.admit(CENTER, IParticipants.Role.Center, "center");
        participants.admit(AUDITOR, IParticipants.Role.Auditor, "auditor");
        _rich(CENTER, 100_000_000);
        address[] memory auditors = new address[](1);
        auditors[0] = AUDITOR;
        VM.prank(CENTER);
        studies.open(_terms(), auditors, 1_000_000);
        for (uint256 i = 0; i < HOSPITALS; ++i) {
            address hospital = hospitalAt(i);
            participants.admit(hospital, IParticipants.Role.Hospital, "hospital");
            _rich(hospital, BOND);
            VM.prank(CENTER);
            studies.invite(1, hospital);
            VM.prank(hospital);
            studies.enrol(1, "spec");
            VM.prank(CENTER);
            agreements.openTier(
                1,
                hospital,
                "terms",
                100 + i,
                1,
                type(uint64).max,
                2,
                IAgreements.Reward.Tokens
            );
        }
    }

    function _rich(address account, uint256 amount) private {
        token.mint(account, amount);
        VM.prank(account);
        token.approve(address(escrow), type(uint256).max);
    }

    function _terms() private view returns (IStudies.Terms memory t) {
        (t.spec, t.state, t.purposes, t.token) = ("spec", "state", 1, address(token));
        (t.hospitalPool, t.bond, t.demandDeposit) = (500_000, BOND, 10);
        t.endBy = uint64(_now) + 3_000;
        (t.settleBy, t.challengeEnd) = (t.endBy + 500, t.endBy + 1_000);
        (t.claimEnd, t.refundAt) = (t.endBy + 2_000, t.endBy + 3_000);
        (t.freezePeriod, t.submitPeriod, t.finalizePeriod) = (100, 100, 100);
        (t.answerPeriod, t.maxWeight, t.maxPatients) = (60, 10, 3);
        (t.minHospitals, t.maxHospitals, t.maxRounds) = (1, 3, uint16(ROUNDS));
        (t.maxDemands, t.auditorQuorum) = (2, 1);
    }
}
