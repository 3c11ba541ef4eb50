import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.dataset import pretraining_dataset
from ambert_tf.pretraining_data.display import check_record, describe_record, tabulate_record
from ambert_tf.pretraining_data.examples import decode_example, encode_examples
from ambert_tf.pretraining_data.records import (
    RecordKind,
    count_records,
    find_damaged_record,
    naming_damaged_files,
    record_files,
    record_kind,
)
from tests.pretraining_data.records_for_tests import column, make_records, write_records


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("next_sentence", [True, False])
def test_the_kind_is_that_of_the_first_record(tmp_path, masked, next_sentence):
    name = write_records(tmp_path / "x", make_records(range(3), masked, next_sentence))
    assert record_kind([name]) == RecordKind(masked=masked, next_sentence=next_sentence)


def test_files_of_two_kinds_are_refused(tmp_path):
    names = [write_records(tmp_path / f"{masked}", make_records(range(3), masked)) for masked in (False, True)]
    with pytest.raises(InputError, match=r"True: its records and those of .*False differ in masks"):
        record_kind(names)


def test_the_description_of_records_is_not_one_of_them(tmp_path):
    name = write_records(tmp_path / "part-0", make_records(range(3)))
    (tmp_path / "stats.json").write_text("{}")
    assert record_files(f"{tmp_path}/*", "input_file") == [name]
    with pytest.raises(InputError, match=r"^--input_file=.*stats\.json: stats\.json describes records, .*/part-\*$"):
        record_files(str(tmp_path / "stats.json"), "input_file")


def test_files_without_pretraining_records_are_named(tmp_path):
    empty = write_records(tmp_path / "empty", [])
    with pytest.raises(InputError, match="empty: contains no record"):
        record_kind([empty])
    other = write_records(tmp_path / "other", encode_examples({"input_ids": column([[1]])}))
    with pytest.raises(InputError, match=r"other: record 0 has no 'coarse_input_ids'; .*create_pretraining_data\.py"):
        record_kind([other])
    text = tmp_path / "text.txt"
    text.write_text("This is no TFRecord file, but a text that is long enough to look like one.\n" * 3)
    with pytest.raises(InputError, match=r"text\.txt: record 0 is damaged or truncated"):
        record_kind([str(text)])


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_records_are_counted(tmp_path, compression):
    assert count_records(write_records(tmp_path / "x", make_records(range(57)), compression)) == 57


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_a_truncated_file_is_named(tmp_path, compression):
    path = tmp_path / "x"
    write_records(path, make_records(range(3000)), compression)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"x: record \d+.* damaged or truncated"):
        count_records(str(path))
    with pytest.raises(InputError, match=r"x: record \d+.* damaged or truncated"), naming_damaged_files([str(path)]):
        for _ in pretraining_dataset([str(path)], batch_size=4, num_epochs=1):
            pass


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 255)), max_size=4),
    st.integers(0, 600),
    st.sampled_from([None, "GZIP"]),
)
def test_any_damage_to_a_file_is_an_input_error(tmp_path_factory, flips, size, compression):
    path = tmp_path_factory.mktemp("fuzz") / "x"
    write_records(path, make_records(range(2)), compression)
    content = bytearray(path.read_bytes())[:size]
    for place, bits in flips:
        if place < len(content):
            content[place] ^= bits
    path.write_bytes(content)
    try:
        record_files(str(path), "input_file")
        record_kind([str(path)])
        with naming_damaged_files([str(path)]):
            for _ in pretraining_dataset([str(path)], batch_size=2, num_epochs=1):
                pass
    except InputError as error:
        assert str(path) in str(error)


LISTS = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 5, 10**6, 2**40]), max_size=4)
FEATURES = ("coarse_masked_lm_ids", "coarse_masked_lm_positions", "fine_input_ids", "fine_to_coarse")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FEATURES), st.none() | LISTS))
def test_a_record_that_is_checked_can_be_shown(changes):
    (serialized,) = make_records([1])
    record = {**decode_example(serialized), **changes}
    record = {name: values for name, values in record.items() if values is not None}
    vocabulary = [f"token{index}" for index in range(40)]
    try:
        check_record(record, vocabulary, vocabulary)
    except InputError:
        return
    assert describe_record(record, vocabulary, vocabulary)
    assert tabulate_record(record, vocabulary, vocabulary)


def test_a_damaged_record_is_named(tmp_path):
    good = write_records(tmp_path / "good", make_records(range(5)))
    path = tmp_path / "bad"
    records = make_records(range(20))
    write_records(path, records)
    content = bytearray(path.read_bytes())
    # The framing of a record takes 16 bytes, so this is in the middle of record 12.
    start = sum(len(record) + 16 for record in records[:12])
    content[start + 50] ^= 1
    path.write_bytes(content)
    with (
        pytest.raises(InputError, match=rf"bad: record 12, at byte {start}, is damaged"),
        naming_damaged_files([good, str(path)]),
    ):
        for _ in pretraining_dataset([good, str(path)], batch_size=4, num_epochs=1):
            pass


def test_a_foreign_record_is_named(tmp_path):
    name = write_records(tmp_path / "x", [*make_records(range(5)), b"\xff\xff\xff"])
    with (
        pytest.raises(InputError, match=r"x: record 5, at byte \d+, is not a tf\.train\.Example"),
        naming_damaged_files([name]),
    ):
        for _ in pretraining_dataset([name], batch_size=4, num_epochs=1):
            pass


def test_good_files_have_no_damaged_record(tmp_path):
    assert find_damaged_record([write_records(tmp_path / "x", make_records(range(5)))]) is None
