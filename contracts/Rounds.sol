// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {Bits} from "./libraries/Bits.sol";
import {Cohorts} from "./libraries/Cohorts.sol";
import {Seats} from "./libraries/Seats.sol";

// slither-disable-start timestamp: a deadline is a block's second, and phases are longer than its freedom

/// @title Rounds
contract Rounds is IRounds {
    using Bits for uint256;
    using SafeCast for uint256;
    using Seats for mapping(uint256 word => uint256 seats);

    uint8 private constant REACHED = 1;
    uint8 private constant CLOSED = 2;
    uint8 private constant FINALIZED = 4;
    uint8 private constant LAPSED = 8;
    uint8 private constant ABORTED = 16;
    uint8 private constant CONTAMINATED = 32;
    uint8 private constant MASKED = 64;

    /// @dev One word, so that freeze and submit read one slot: deadlines, and the terms that they need.
    struct Header {
        uint40 freezeBy;
        uint40 submitBy;
        uint40 unmaskBy;
        uint40 finalizeBy;
        uint40 openBlock;
        uint16 minHospitals;
        uint8 flags;
        uint32 maxWeight;
    }

    /// @dev `seats` is written when the round opens, so that the first hospital to freeze pays no more than the others.
    struct Data {
        Header header;
        uint256 enrolled;
        uint256 voided;
        uint256 included;
        uint256 restored;
        uint256 survivors;
        uint256 unmasked;
        bytes32 startState;
        bytes32 state;
        bytes32 inputs;
        bytes32 manifest;
        uint16 parent;
        mapping(uint256 word => uint256 seats) seats;
        mapping(uint256 index => uint256 cohort) cohorts;
        mapping(uint256 index => bytes32 digest) submissions;
    }

    IStudies private immutable _studies;
    IEscrow private immutable _escrow;
    address private immutable _challenges;

    mapping(uint256 study => uint256 rounds) private _counts;
    mapping(uint256 study => mapping(uint256 round => Data data)) private _rounds;
    mapping(uint256 study => uint256 mask) private _barred;
    mapping(uint256 study => mapping(uint256 index => uint256 weight)) private _counted;
    mapping(uint256 study => uint256 weight) private _countedTotal;

    constructor(IStudies studies, IEscrow escrow, address challenges) {
        _studies = studies;
        _escrow = escrow;
        // slither-disable-next-line missing-zero-check: deploy.py predicts and verifies the wiring
        _challenges = challenges;
    }

    modifier onlyCenter(uint256 study) {
        if (msg.sender != _studies.centerOf(study)) revert NotTheCenter(msg.sender);
        _;
    }

    // ---------------------------------------------------------------- the verbs

    /// @inheritdoc IRounds
    function open(
        uint256 study,
        uint256 parent,
        bytes32 state
    ) external onlyCenter(study) returns (uint256 number) {
        return _open(study, parent, state, _standingHospitals(study));
    }

    /// @inheritdoc IRounds
    function openDrawn(
        uint256 study,
        uint256 parent,
        bytes32 state,
        uint256 pool,
        uint256 drawn
    ) external onlyCenter(study) returns (uint256 number) {
        uint256 standing = _standingHospitals(study);
        if (pool != standing) revert OtherHospitals(pool, standing);
        if (drawn & ~pool != 0) revert NotInPool(drawn, pool);
        number = _open(study, parent, state, drawn);
        emit Drawn(study, number, pool);
    }

    /// @inheritdoc IRounds
    function abort(uint256 study, uint256 number) external onlyCenter(study) {
        Data storage data = _known(study, number);
        // Once somebody submitted, a center that ends the round could read k − 1 updates and pay for none.
        if (_over(data.header) || _submitted(data) != 0) revert WrongPhase(study, number);
        data.header.flags |= ABORTED;
        emit Aborted(study, number);
    }

    /// @inheritdoc IRounds
    function freeze(Freeze calldata commitment) external {
        Data storage data = _known(commitment.study, commitment.round);
        Header memory header = data.header;
        uint256 index = commitment.hospital;
        if (block.timestamp > header.freezeBy || _over(header))
            revert WrongPhase(commitment.study, commitment.round);
        if (_studies.indexOf(commitment.study, msg.sender) != index) revert NotInRound(msg.sender);
        uint256 seat = _awaited(data, index);
        _checkSnapshot(header, commitment);
        _checkCohort(header, commitment);
        data.cohorts[index] = uint256(Cohorts.bind(Cohorts.hash(commitment), msg.sender));
        data.seats.write(index, seat | Seats.FROZEN | commitment.weight);
        emit Frozen(commitment.study, commitment.round, msg.sender, commitment);
    }

    /// @inheritdoc IRounds
    function submit(uint256 study, uint256 number, bytes32 manifest, bytes32 commitment) external {
        Data storage data = _known(study, number);
        uint256 index = _studies.indexOf(study, msg.sender);
        if (manifest == 0 || commitment == 0) revert EmptyDigest();
        uint256 cohort_ = _unsubmitted(study, data, index);
        if (cohort_ == 0 || !_maySubmit(study, data)) revert WrongPhase(study, number);
        data.submissions[index] = keccak256(abi.encode(manifest, commitment));
        data.cohorts[index] = cohort_ | Cohorts.SUBMITTED;
        emit Submitted(study, number, msg.sender, index, manifest, commitment);
    }

    /// @inheritdoc IRounds
    function closeSubmit(uint256 study, uint256 number) external {
        Data storage data = _known(study, number);
        Header memory header = data.header;
        bool due = header.flags & MASKED != 0 && header.flags & (CLOSED | ABORTED) == 0;
        if (!due || block.timestamp > header.unmaskBy || !_complete(study, data))
            revert WrongPhase(study, number);
        uint256 survivors = _standing(data);
        uint256 threshold = _studies.terms(study).threshold;
        uint256 need = threshold > header.minHospitals ? threshold : header.minHospitals;
        _checkEnough(survivors, need);
        data.survivors = survivors;
        data.header.flags = header.flags | CLOSED | REACHED;
        emit SubmitClosed(study, number, survivors);
    }

    /// @inheritdoc IRounds
    function unmask(uint256 study, uint256 number, bytes32 shares) external {
        Data storage data = _known(study, number);
        uint256 index = _studies.indexOf(study, msg.sender);
        if (
            data.header.flags & (CLOSED | FINALIZED) != CLOSED ||
            block.timestamp > data.header.unmaskBy
        ) revert WrongPhase(study, number);
        if (!data.survivors.has(index)) revert NotInRound(msg.sender);
        if (data.unmasked.has(index)) revert AlreadyDone(msg.sender);
        if (shares == 0) revert EmptyDigest();
        data.unmasked |= Bits.bit(index);
        emit Unmasked(study, number, msg.sender, shares);
    }

    /// @inheritdoc IRounds
    function finalize(
        uint256 study,
        uint256 number,
        uint256 included,
        bytes32 state,
        bytes32 manifest
    ) external onlyCenter(study) {
        Data storage data = _known(study, number);
        if (_over(data.header)) revert WrongPhase(study, number);
        if (state == 0 || manifest == 0) revert EmptyDigest();
        if (data.header.flags & MASKED == 0) _checkOpenInputs(study, number, data, included);
        else _checkMaskedInputs(study, number, data, included);
        bytes32 inputs = _inputs(study, number, data, included);
        (data.included, data.inputs, data.state, data.manifest) = (
            included,
            inputs,
            state,
            manifest
        );
        data.header.flags |= FINALIZED | REACHED;
        _addWeights(study, data, included);
        emit Finalized(study, number, included, inputs, state, manifest);
    }

    /// @inheritdoc IRounds
    function lapse(uint256 study, uint256 number) external {
        Data storage data = _known(study, number);
        if (!_lapseDue(data.header)) revert WrongPhase(study, number);
        _lapse(study, number, data);
    }

    /// @inheritdoc IRounds
    function voidUpdate(uint256 study, uint256 number, uint256 index) external {
        if (msg.sender != _challenges) revert OnlyChallenges();
        Data storage data = _known(study, number);
        // The round's weights are those that stood at finalizeBy, whoever calls first.
        if (_lapseDue(data.header)) _lapse(study, number, data);
        // Sticky: what a void takes from the center and the hospital, it does not take from the patients.
        if (_reached(data)) data.header.flags |= REACHED;
        data.voided |= Bits.bit(index);
        _bar(study, index);
        bool contaminated = (data.included | data.survivors).has(index);
        if (contaminated) data.header.flags |= CONTAMINATED;
        emit Voided(study, number, index, contaminated);
        _escrow.takeBond(study, _studies.hospitalAt(study, index));
    }

    /// @inheritdoc IRounds
    function restoreWeight(uint256 study, uint256 number, uint256 index) external {
        if (msg.sender != _challenges) revert OnlyChallenges();
        Data storage data = _known(study, number);
        uint256 alone = Bits.bit(index);
        data.restored |= alone;
        uint256 weight = _addWeights(study, data, alone);
        emit Restored(study, number, index, weight);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IRounds
    function count(uint256 study) external view returns (uint256) {
        return _counts[study];
    }

    /// @inheritdoc IRounds
    function round(uint256 study, uint256 number) external view returns (Round memory shown) {
        Data storage data = _known(study, number);
        _showHeader(data.header, shown);
        shown.parent = data.parent;
        shown.enrolled = data.enrolled;
        shown.reached = _reached(data);
        shown.frozen = data.seats.having(data.enrolled, Seats.FROZEN);
        shown.submitted = _submitted(data);
        shown.voided = data.voided;
        shown.included = data.included;
        shown.survivors = data.survivors;
        shown.unmasked = data.unmasked;
        shown.startState = data.startState;
        shown.state = data.state;
        shown.inputs = data.inputs;
        shown.manifest = data.manifest;
    }

    /// @inheritdoc IRounds
    function deadlines(
        uint256 study,
        uint256 number
    ) external view returns (uint64 freezeBy, uint64 submitBy, uint64 unmaskBy, uint64 finalizeBy) {
        Header memory header = _known(study, number).header;
        return (header.freezeBy, header.submitBy, header.unmaskBy, header.finalizeBy);
    }

    /// @inheritdoc IRounds
    function cohort(
        uint256 study,
        uint256 number,
        uint256 index
    ) external view returns (Cohort memory) {
        Data storage data = _rounds[study][number];
        return Cohort(Cohorts.digestOf(data.cohorts[index]), uint32(data.seats.read(index)));
    }

    /// @inheritdoc IRounds
    function submissionDigest(
        uint256 study,
        uint256 number,
        uint256 index
    ) external view returns (bytes32) {
        return _rounds[study][number].submissions[index];
    }

    /// @inheritdoc IRounds
    function isOver(uint256 study, uint256 number) external view returns (bool) {
        return _over(_known(study, number).header);
    }

    /// @inheritdoc IRounds
    function pays(uint256 study, uint256 number) external view returns (bool) {
        Data storage data = _known(study, number);
        return _pays(data, data.header);
    }

    /// @inheritdoc IRounds
    function payableCohort(
        uint256 study,
        uint256 number,
        uint256 index
    ) external view returns (bytes32 digest, uint64 submitBy) {
        Data storage data = _rounds[study][number];
        uint256 cohort_ = data.cohorts[index];
        Header memory header = data.header;
        submitBy = header.submitBy;
        if (cohort_ & Cohorts.SUBMITTED != 0 && _pays(data, header))
            digest = Cohorts.digestOf(cohort_);
    }

    /// @inheritdoc IRounds
    function restorable(uint256 study, uint256 number) external view returns (uint256 mask) {
        Data storage data = _known(study, number);
        if (data.header.flags & FINALIZED == 0) return 0;
        // A barred hospital gets no share: its weight would only lessen those of others. In masked mode who submitted and
        // stands is included, so that nobody is left.
        return _submitted(data) & ~(data.included | data.restored | _barred[study]);
    }

    /// @inheritdoc IRounds
    function restored(uint256 study, uint256 number) external view returns (uint256 mask) {
        return _known(study, number).restored;
    }

    /// @inheritdoc IRounds
    function countedWeight(
        uint256 study,
        uint256 index
    ) external view returns (uint256 weight, uint256 total) {
        weight = _barred[study].has(index) ? 0 : _counted[study][index];
        total = _countedTotal[study];
    }

    /// @inheritdoc IRounds
    function countedWeights(
        uint256 study
    ) external view returns (uint256[] memory weights, uint256 total) {
        weights = new uint256[](_studies.hospitalCount(study));
        for (uint256 index = 0; index < weights.length; ++index)
            weights[index] = _counted[study][index];
        total = _countedTotal[study];
    }

    /// @inheritdoc IRounds
    function barred(uint256 study) external view returns (uint256 mask) {
        return _barred[study];
    }

    /// @inheritdoc IRounds
    function hashFreeze(Freeze calldata commitment) external pure returns (bytes32) {
        return Cohorts.hash(commitment);
    }

    // ---------------------------------------------------------------- opening

    function _open(
        uint256 study,
        uint256 parent,
        bytes32 state,
        uint256 enrolled
    ) private returns (uint256 number) {
        IStudies.Terms memory terms = _studies.terms(study);
        _endPrevious(study);
        number = _counts[study] + 1;
        if (number > terms.maxRounds) revert TooManyRounds(study);
        _checkState(study, parent, state, terms.state);
        uint256 have = enrolled.count();
        if (have < terms.minHospitals) revert TooFewHospitals(have, terms.minHospitals);
        _counts[study] = number;
        _start(_rounds[study][number], terms, enrolled, parent, state);
        emit RoundOpened(study, number, parent, state, enrolled);
    }

    function _standingHospitals(uint256 study) private view returns (uint256) {
        return _studies.enrolled(study) & ~_barred[study];
    }

    function _endPrevious(uint256 study) private {
        uint256 last = _counts[study];
        if (last == 0) return;
        Data storage data = _rounds[study][last];
        if (!_over(data.header)) revert RoundLive(study, last);
        if (_lapseDue(data.header)) _lapse(study, last, data);
    }

    function _checkState(uint256 study, uint256 parent, bytes32 state, bytes32 first) private view {
        bytes32 expected = parent == 0 ? first : _known(study, parent).state;
        // An unfinalized parent has none.
        if (state == 0 || state != expected) revert WrongState(state, expected);
    }

    function _start(
        Data storage data,
        IStudies.Terms memory terms,
        uint256 enrolled,
        uint256 parent,
        bytes32 state
    ) private {
        data.header = _schedule(terms);
        data.enrolled = enrolled;
        data.seats.invite(enrolled);
        data.startState = state;
        data.parent = uint16(parent);
    }

    function _schedule(IStudies.Terms memory terms) private view returns (Header memory header) {
        header.freezeBy = (block.timestamp + terms.freezePeriod).toUint40();
        header.submitBy = header.freezeBy + terms.submitPeriod;
        header.unmaskBy = header.submitBy + terms.unmaskPeriod;
        header.finalizeBy = header.unmaskBy + terms.finalizePeriod;
        if (header.finalizeBy > terms.endBy) revert RoundTooLate(header.finalizeBy, terms.endBy);
        header.openBlock = block.number.toUint40();
        header.minHospitals = terms.minHospitals;
        header.maxWeight = terms.maxWeight;
        header.flags = terms.masked ? MASKED : 0;
    }

    // ---------------------------------------------------------------- freezing and submitting

    /// @dev The seat of a hospital that has still to freeze. A barred hospital's seat says so in the live round.
    function _awaited(Data storage data, uint256 index) private view returns (uint256 seat) {
        seat = data.seats.read(index);
        if (seat & Seats.INVITED == 0) revert NotInRound(msg.sender);
        if (seat & Seats.FROZEN != 0) revert AlreadyDone(msg.sender);
        if (seat & Seats.BARRED != 0) revert VoidedHospital(index);
    }

    /// @dev The cohort of a hospital that has still to submit; zero where it has not frozen.
    function _unsubmitted(
        uint256 study,
        Data storage data,
        uint256 index
    ) private view returns (uint256 cohort_) {
        cohort_ = data.cohorts[index];
        if (cohort_ == 0 && !data.enrolled.has(index)) revert NotInRound(msg.sender);
        if (cohort_ & Cohorts.SUBMITTED != 0) revert AlreadyDone(msg.sender);
        bool isBarred = cohort_ == 0 ? _barred[study].has(index) : cohort_ & Cohorts.BARRED != 0;
        if (isBarred) revert VoidedHospital(index);
    }

    /// @dev Freezing and submitting learn it from the words of the live round that they read anyway.
    function _bar(uint256 study, uint256 index) private {
        _barred[study] |= Bits.bit(index);
        Data storage live = _rounds[study][_counts[study]];
        if (!live.enrolled.has(index)) return;
        live.seats.write(index, live.seats.read(index) | Seats.BARRED);
        if (live.cohorts[index] != 0) live.cohorts[index] |= Cohorts.BARRED;
    }

    function _checkSnapshot(Header memory header, Freeze calldata commitment) private view {
        uint256 snapshot = commitment.snapshot;
        // Blocks that are not past, or older than 256, have hash zero here.
        bytes32 expected = blockhash(snapshot);
        bool matches = expected != 0 && expected == commitment.snapshotHash;
        if (snapshot < header.openBlock || !matches) revert BadSnapshot(commitment.snapshot);
    }

    function _checkCohort(Header memory header, Freeze calldata commitment) private pure {
        uint256 weight = commitment.weight;
        bool masked = header.flags & MASKED != 0;
        if (weight == 0 || weight > commitment.n || weight > header.maxWeight) revert BadCohort();
        if (masked != (commitment.roundKeys != 0)) revert BadCohort();
        if (commitment.root == 0 || commitment.leafList == 0) revert EmptyDigest();
    }

    /// @dev After its own freeze, until submitBy; masked: when all have frozen, for masks are among frozen hospitals only.
    function _maySubmit(uint256 study, Data storage data) private view returns (bool) {
        Header memory header = data.header;
        if (block.timestamp > header.submitBy || header.flags & CLOSED != 0 || _over(header))
            return false;
        if (header.flags & MASKED == 0 || block.timestamp > header.freezeBy) return true;
        return _toFreeze(data) & ~_barred[study] == 0;
    }

    // ---------------------------------------------------------------- finalizing

    /// @dev Freezing ended, and every unvoided frozen hospital has submitted or submitBy is past. Who has not frozen has
    /// not submitted; who is barred is not waited for.
    function _complete(uint256 study, Data storage data) private view returns (bool) {
        if (block.timestamp > data.header.submitBy) return true;
        uint256 waiting = data.enrolled & ~_submitted(data) & ~_barred[study];
        if (block.timestamp > data.header.freezeBy) waiting &= ~_toFreeze(data);
        return waiting == 0;
    }

    function _checkOpenInputs(
        uint256 study,
        uint256 number,
        Data storage data,
        uint256 included
    ) private view {
        if (!_complete(study, data)) revert WrongPhase(study, number);
        uint256 allowed = _standing(data);
        if (included & ~allowed != 0) revert BadIncluded(included, allowed);
        _checkEnough(included, data.header.minHospitals);
    }

    function _checkMaskedInputs(
        uint256 study,
        uint256 number,
        Data storage data,
        uint256 included
    ) private view {
        if (data.header.flags & CLOSED == 0) revert WrongPhase(study, number);
        if (included != data.survivors) revert BadIncluded(included, data.survivors);
        _checkEnough(data.unmasked, _studies.terms(study).threshold);
    }

    function _inputs(
        uint256 study,
        uint256 number,
        Data storage data,
        uint256 included
    ) private view returns (bytes32) {
        uint256[] memory members = included.indices();
        bytes32[] memory digests = new bytes32[](members.length);
        for (uint256 i = 0; i < members.length; ++i) digests[i] = data.submissions[members[i]];
        return keccak256(abi.encode(study, number, included, digests));
    }

    function _addWeights(
        uint256 study,
        Data storage data,
        uint256 mask
    ) private returns (uint256 added) {
        uint256[] memory members = mask.indices();
        for (uint256 i = 0; i < members.length; ++i) {
            uint256 weight = uint32(data.seats.read(members[i]));
            _counted[study][members[i]] += weight;
            added += weight;
        }
        _countedTotal[study] += added;
    }

    function _lapse(uint256 study, uint256 number, Data storage data) private {
        bool reached = _reached(data);
        data.header.flags |= reached ? LAPSED | REACHED : LAPSED;
        emit Lapsed(study, number);
        if (reached) _addWeights(study, data, _standing(data));
    }

    // ---------------------------------------------------------------- reading a round

    function _known(uint256 study, uint256 number) private view returns (Data storage data) {
        data = _rounds[study][number];
        if (data.header.finalizeBy == 0) revert UnknownRound(study, number);
    }

    function _over(Header memory header) private view returns (bool) {
        return header.flags & (FINALIZED | ABORTED) != 0 || block.timestamp > header.finalizeBy;
    }

    function _lapseDue(Header memory header) private view returns (bool) {
        return
            block.timestamp > header.finalizeBy &&
            header.flags & (FINALIZED | ABORTED | LAPSED) == 0;
    }

    function _pays(Data storage data, Header memory header) private view returns (bool) {
        return _over(header) && (header.flags & REACHED != 0 || _reached(data));
    }

    /// @dev k submissions stood unvoided at one time. Their number falls by a void alone, which looks before it falls, so
    /// that submitting need not.
    function _reached(Data storage data) private view returns (bool) {
        if (data.header.flags & REACHED != 0) return true;
        return _standing(data).count() >= data.header.minHospitals;
    }

    /// @dev Submissions that no challenge voided.
    function _standing(Data storage data) private view returns (uint256) {
        return _submitted(data) & ~data.voided;
    }

    function _submitted(Data storage data) private view returns (uint256 mask) {
        uint256[] memory members = data.enrolled.indices();
        for (uint256 i = 0; i < members.length; ++i)
            if (data.cohorts[members[i]] & Cohorts.SUBMITTED != 0) mask |= Bits.bit(members[i]);
    }

    function _toFreeze(Data storage data) private view returns (uint256) {
        return data.enrolled & ~data.seats.having(data.enrolled, Seats.FROZEN);
    }

    function _checkEnough(uint256 mask, uint256 need) private pure {
        uint256 have = mask.count();
        if (have < need) revert TooFewSubmissions(have, need);
    }

    function _showHeader(Header memory header, Round memory shown) private pure {
        shown.freezeBy = header.freezeBy;
        shown.submitBy = header.submitBy;
        shown.unmaskBy = header.unmaskBy;
        shown.finalizeBy = header.finalizeBy;
        shown.openBlock = header.openBlock;
        shown.closed = header.flags & CLOSED != 0;
        shown.finalized = header.flags & FINALIZED != 0;
        shown.lapsed = header.flags & LAPSED != 0;
        shown.aborted = header.flags & ABORTED != 0;
        shown.contaminated = header.flags & CONTAMINATED != 0;
    }
}

// slither-disable-end timestamp
