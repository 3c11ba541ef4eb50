from itertools import pairwise

import numpy as np
import pytest

from ambert_tf.pretraining_data import spill
from ambert_tf.pretraining_data.record_maker import UnitRecords
from ambert_tf.pretraining_data.spill import ALL_NUMBERS, SpillFile, merge_spills, merged_buckets, write_spill


def make_units(sizes, seed=0):
    random = np.random.default_rng(seed)
    return [
        UnitRecords(
            order=random.integers(0, 2**64, size, np.uint64),
            records=[b"%d/%d" % (number, index) * random.integers(1, 9) for index in range(size)],
            counts={"sequences": size, "documents": 1},
        )
        for number, size in enumerate(sizes)
    ]


def write_units(directory, units):
    paths = []
    for number, unit in enumerate(units):
        paths.append(str(directory / f"unit-{number}"))
        write_spill(paths[-1], unit)
    return paths


def sorted_records(units, low=0, high=ALL_NUMBERS):
    pairs = [pair for unit in units for pair in zip(unit.order.tolist(), unit.records, strict=True)]
    return [record for number, record in sorted(pairs, key=lambda pair: pair[0]) if low <= number < high]


def read(paths, low=0, high=ALL_NUMBERS):
    return [
        bytes(record)
        for _, records in merged_buckets([SpillFile(path) for path in paths], low, high)
        for record in records
    ]


def test_merging_sorts_all_records_by_their_numbers(tmp_path):
    units = make_units([50, 0, 1, 300])
    assert read(write_units(tmp_path, units)) == sorted_records(units)


@pytest.mark.parametrize("bucket_bytes", [100, 1000, 10**6])
def test_the_size_of_buckets_makes_no_difference(tmp_path, monkeypatch, bucket_bytes):
    units = make_units([50, 20, 300])
    monkeypatch.setattr(spill, "BUCKET_BYTES", bucket_bytes)
    assert read(write_units(tmp_path, units)) == sorted_records(units)


def test_ranges_of_numbers_divide_the_records(tmp_path):
    units = make_units([50, 20, 300])
    paths = write_units(tmp_path, units)
    bounds = [0, 2**62, 2**63 + 12345, ALL_NUMBERS]
    parts = [read(paths, low, high) for low, high in pairwise(bounds)]
    assert [len(part) > 50 for part in parts] == [True] * 3
    assert [record for part in parts for record in part] == sorted_records(units)
    assert parts[1] == sorted_records(units, 2**62, 2**63 + 12345)


def test_merging_in_groups_first_makes_no_difference(tmp_path):
    units = make_units([50, 20, 0, 300, 7])
    # Records with equal numbers stay in the order of the units.
    for unit in units:
        unit.order[:5] = 12345
    paths = write_units(tmp_path, units)
    merged = [str(tmp_path / "first"), str(tmp_path / "second")]
    merge_spills(paths[:3], merged[0])
    merge_spills(paths[3:], merged[1])
    assert read(merged) == read(paths) == sorted_records(units)
    assert [SpillFile(path).counts for path in merged] == [
        {"sequences": 70, "documents": 3},
        {"sequences": 307, "documents": 2},
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second", *(f"unit-{n}" for n in range(5))]


def test_another_file_is_not_a_spill_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"something else, longer than a footer")
    with pytest.raises(ValueError, match="is not a spill file"):
        SpillFile(str(path))
