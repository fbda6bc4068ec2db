"""An update that is added while it is decrypted: what breaks a rule leaves nothing in the sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from federated.aggregate import WeightedSum
from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import DTYPES, Array, Schema
from federated.tensors import encode_tensors
from storage.errors import CorruptPayload, MissingBlock
from storage.payload import SEGMENT_SIZE

LENGTHS = [1, 1000, SEGMENT_SIZE // 4 + 3, 3 * SEGMENT_SIZE // 4 + 17]


@dataclass
class Opened:
    """A plaintext by segment, of which some cannot be had."""

    data: bytes
    lost: frozenset[int] = frozenset()
    lost_later: frozenset[int] = frozenset()
    order: Callable[[Iterable[int]], Iterable[int]] = field(default=lambda indices: indices)

    @property
    def plaintext_size(self) -> int:
        return len(self.data)

    def copy_to(self, put: Callable[[int, memoryview], None]) -> None:
        for index in self.order(range(max(1, -(-len(self.data) // SEGMENT_SIZE)))):
            if index in self.lost:
                raise CorruptPayload(f"segment {index}")
            put(index * SEGMENT_SIZE, memoryview(bytearray(self._segment(index))))

    def segment(self, index: int) -> bytes:
        if index in self.lost_later:
            raise MissingBlock(f"segment {index}")
        return self._segment(index)

    def _segment(self, index: int) -> bytes:
        return self.data[index * SEGMENT_SIZE :][:SEGMENT_SIZE]


def made(schema: Schema, most: int, seed: int) -> Array:
    source = np.random.default_rng(seed)
    return source.integers(-most, most + 1, schema.size).astype(DTYPES[schema.dtype])


def encoded(schema: Schema, vector: Array) -> bytes:
    return encode_tensors(schema.unflatten(vector), schema)


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("bits", [20, 40])
def test_an_update_added_while_it_is_decrypted_gives_the_sum_of_integers(
    size: int, bits: int
) -> None:
    bound = 1 << bits
    schema = Schema.of("I32" if bits < 31 else "I64", {"a": (1,), "b": (size - 1,)})
    updates = [made(schema, int(bound / np.sqrt(size)), seed) for seed in range(3)]
    total = WeightedSum(schema, Grid(3, bound))
    for weight, update in enumerate(updates, start=5):
        backwards = Opened(encoded(schema, update), order=lambda at: reversed(list(at)))
        assert total.add_judged(backwards, weight)
    expected = sum(w * update.astype(object) for w, update in enumerate(updates, start=5))
    assert (total.steps() == expected).all()
    assert total.weight == 18


def spoiled(schema: Schema, bound: int) -> dict[str, bytes]:
    """Plaintexts that one rule or another excludes, each broken at its end."""
    good = made(schema, int(bound / np.sqrt(schema.size)), 9)
    over, far = good.copy(), good.copy()
    over[:], far[-1] = int(bound / np.sqrt(schema.size)) + 1, bound + 1
    data = encoded(schema, good)
    return {
        "over the clip": encoded(schema, over),
        "a coordinate beyond the bound": encoded(schema, far),
        "cut short": data[:-4],
        "longer": data + bytes(4),
        "another header": data.replace(b"I32", b"F32"),
        "another name": data.replace(b'"b"', b'"c"'),
        "not even a header": data[:3],
        "nothing": b"",
    }


@pytest.mark.parametrize("how", spoiled(Schema.of("I32", {"a": (1,), "b": (9,)}), 100))
@pytest.mark.parametrize("size", LENGTHS[1:])
def test_what_a_rule_excludes_leaves_nothing_in_the_sum(how: str, size: int) -> None:
    bound, schema = 1 << 20, Schema.of("I32", {"a": (1,), "b": (size - 1,)})
    honest = made(schema, int(bound / np.sqrt(size)), 1)
    total = WeightedSum(schema, Grid(3, bound))
    assert total.add_judged(Opened(encoded(schema, honest)), 7)
    assert not total.add_judged(Opened(spoiled(schema, bound)[how]), 1000)
    assert (total.steps() == 7 * honest.astype(np.int64)).all()
    assert total.weight == 7
    assert total.add_judged(Opened(encoded(schema, honest)), 2)
    assert (total.steps() == 9 * honest.astype(np.int64)).all()


def test_what_does_not_decrypt_leaves_nothing_in_the_sum() -> None:
    schema = Schema.of("I32", {"w": (LENGTHS[-1],)})
    total, bound = WeightedSum(schema, Grid(3, 1 << 20)), 1 << 20
    update = encoded(schema, made(schema, int(bound / np.sqrt(schema.size)), 1))
    with pytest.raises(CorruptPayload):
        total.add_judged(Opened(update, lost=frozenset({2})), 3)
    assert total.weight == 0
    assert not total.steps().any()
    assert total.add_judged(Opened(update), 3)


def test_a_sum_that_cannot_be_cleaned_is_never_used() -> None:
    """A member that takes its blocks away between two reads must not leave a part of its update
    in the model: everything begins anew."""
    schema = Schema.of("I32", {"w": (LENGTHS[-1],)})
    total, bound = WeightedSum(schema, Grid(3, 1 << 20)), 1 << 20
    update = encoded(schema, made(schema, int(bound / np.sqrt(schema.size)), 1))
    gone = Opened(update, lost=frozenset({2}), lost_later=frozenset({1}))
    with pytest.raises(AggregationError, match="aggregate again"):
        total.add_judged(gone, 3)
    with pytest.raises(AggregationError, match="in part"):
        total.mean()


def test_a_segment_that_comes_twice_is_added_once() -> None:
    """Reading in order begins anew where reading on all cores failed."""
    schema = Schema.of("I32", {"w": (LENGTHS[-1],)})
    total, bound = WeightedSum(schema, Grid(3, 1 << 20)), 1 << 20
    vector = made(schema, int(bound / np.sqrt(schema.size)), 1)
    twice = Opened(encoded(schema, vector), order=lambda at: [*list(at)[1:], *at])
    assert total.add_judged(twice, 3)
    assert (total.steps() == 3 * vector.astype(np.int64)).all()
