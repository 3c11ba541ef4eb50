import dataclasses

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import CHID, OCNLI, TNEWS
from ambert_tf.tasks.custom_data import CHOICE, SENTENCE, SENTENCE_PAIR
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.declaration import Example, ReadOptions, Texts, columns
from ambert_tf.tasks.glue import AX, MRPC, STSB
from ambert_tf.tasks.labelled_examples import read_examples
from tests.classifiers import write_json_lines

LABELS = ("100", "101")


def read(tmp_path, records, task=TNEWS, split="train", labels=LABELS, **options):
    records = file_records(task, [write_json_lines(tmp_path / "file.json", records)], split)
    return read_examples(task, records, split, labels, **options)


def test_tnews_joins_keywords_to_the_title(tmp_path):
    records = [
        {"label": "101", "label_desc": "news_culture", "sentence": "江疏影甜甜圈自拍", "keywords": "江疏影,美少女"},
        {"label": 100, "sentence": "我们走到一起", "keywords": "", "id": 7},
        {"label": "100", "sentence": ""},
    ]
    assert read(tmp_path, records).examples == [
        Example(0, Texts("江疏影甜甜圈自拍。江疏影,美少女"), 1),
        Example(7, Texts("我们走到一起"), 0),
        Example(2, Texts(""), 0),
    ]
    plain = read(tmp_path, records, options=ReadOptions(augment=False)).examples
    assert plain[0].inputs == Texts("江疏影甜甜圈自拍")


def test_a_test_set_without_keywords_causes_a_warning(tmp_path, caplog):
    titles = [{"sentence": "江疏影甜甜圈自拍", "id": 0}, {"sentence": "我们走到一起", "keywords": "", "id": 1}]
    read(tmp_path, titles, split="test", needs_labels=False)
    warning = "file.json: no record has keywords, which the data augmentation of tnews adds to the texts; to train "
    assert warning + "a model without them, use --data_augmentation=false" in caplog.text
    caplog.clear()
    read(tmp_path, titles, split="test", needs_labels=False, options=ReadOptions(augment=False))
    read(tmp_path, [*titles, {"sentence": "x", "keywords": "y"}], split="test", needs_labels=False)
    assert not caplog.text


def test_pairs(tmp_path):
    records = [{"sentence1": "a", "sentence2": "b", "label": "100"}]
    assert read(tmp_path, records, SENTENCE_PAIR).examples == [Example(0, Texts("a", "b"), 0)]


def test_examples_without_a_gold_label_are_counted_and_left_out(tmp_path):
    records = [
        {"sentence1": "a", "sentence2": "b", "label": label, "id": index}
        for index, label in enumerate(("neutral", "-", "entailment"))
    ]
    labels = ("entailment", "neutral", "contradiction")
    found = read(tmp_path, records, OCNLI, "dev", labels)
    assert [(example.id, example.label) for example in found.examples] == [(0, 1), (2, 0)]
    assert found.left_out == 1
    # A leaderboard file has a line for each example.
    assert len(read(tmp_path, records, OCNLI, "test", labels, needs_labels=False).examples) == 3


def test_labels_match_without_white_space_and_zero_decimals(tmp_path):
    records = [{"sentence": "a", "label": label} for label in ("100 ", "101.0", 101.0, 100)]
    assert [example.label for example in read(tmp_path, records).examples] == [0, 1, 1, 0]
    assert [example.label for example in read(tmp_path, records[:3], labels=("100", "101.0")).examples] == [0, 1, 1]


def test_ids_are_strings_or_integers(tmp_path):
    records = [{"sentence": "a", "id": value} for value in (7, "8", None)]
    assert [example.id for example in read(tmp_path, records, needs_labels=False).examples] == [7, "8", 2]
    for value in (["l"], {"a": 1}, 1.5, True):
        with pytest.raises(InputError, match=r"line 1: 'id' is .*; it must be a string or an integer"):
            read(tmp_path, [{"sentence": "a", "id": value}], needs_labels=False)


def test_labels_of_another_kind_are_named(tmp_path):
    for label in (["100"], {"a": 1}):
        with pytest.raises(InputError, match="line 1: 'label' is"):
            read(tmp_path, [{"sentence": "a", "label": label}])


def test_answers_of_chid_are_expected_in_the_same_directory(tmp_path):
    line = {"content": ["他#idiom000001#地走了"], "candidates": ["一", "二"]}
    with pytest.raises(
        InputError, match=r"has no answer; answers are expected in file_answer\.json, in the same directory"
    ):
        read(tmp_path, [line], CHID, "dev")


def test_microsofts_pairs_are_split_by_glues_ids(tmp_path):
    rows = [f"{index % 2}\t{index}\t{index + 100}\tone {index}\tother {index}\n" for index in range(4)]
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    (tmp_path / "msr_paraphrase_train.txt").write_text(header + "".join(rows), encoding="utf-8")
    with pytest.raises(InputError, match=r"GLUE's dev_ids\.tsv, which splits it into train and dev, is expected"):
        list(file_records(MRPC, split_files(MRPC, str(tmp_path), "train"), "train"))
    (tmp_path / "dev_ids.tsv").write_text("2\t102\n0\t100\n")
    for split, expected in (("train", ["one 1", "one 3"]), ("dev", ["one 0", "one 2"])):
        records = file_records(MRPC, split_files(MRPC, str(tmp_path), split), split)
        assert [record.content["#1 String"] for record in records] == expected


def test_the_diagnostic_set_with_labels_has_other_columns(tmp_path):
    header = "Lexical Semantics\tPremise\tHypothesis\tLabel\n"
    (tmp_path / "diagnostic-full.tsv").write_text(header + "Lexical entailment\ta\tb\tneutral\n")
    records = file_records(AX, split_files(AX, str(tmp_path), "dev"), "dev")
    labels = ("entailment", "neutral", "contradiction")
    assert read_examples(AX, records, "dev", labels).examples == [Example(0, Texts("a", "b"), 1)]


def test_prediction_ignores_labels(tmp_path):
    records = [{"sentence": "a", "label": "unheard of"}, {"sentence": "b"}]
    examples = read(tmp_path, records, SENTENCE, "test", needs_labels=False).examples
    assert [example.label for example in examples] == [None, None]


def test_scores_are_numbers_in_their_range(tmp_path):
    table = tmp_path / "train.tsv"
    table.write_text("sentence1\tsentence2\tscore\na\tb\t3.80\n")
    found = read_examples(STSB, file_records(STSB, [str(table)], "train"), "train")
    assert found.examples[0].label == 3.8
    for score in ("5.5", "-1", "nan", "high"):
        table.write_text(f"sentence1\tsentence2\tscore\na\tb\t{score}\n")
        with pytest.raises(InputError, match=rf"line 2: 'score' is .{score}.; it must be a number from 0 to 5"):
            read_examples(STSB, file_records(STSB, [str(table)], "train"), "train")


def test_the_index_of_a_choice_is_one_of_them(tmp_path):
    record = {"context": "c", "question": "q", "choices": ["a", "b"], "answer": 2}
    with pytest.raises(InputError, match=r"line 1: 'answer' is 2; it must be from 0 to 1"):
        read(tmp_path, [record], CHOICE)


def test_only_the_idioms_of_a_group_exclude_each_other(tmp_path):
    record = {"context": "c", "question": "q", "choices": ["a", "b"], "answer": 0, "group": "biology"}
    assert read(tmp_path, [record], CHOICE).examples[0].group is None


def test_two_texts_are_those_of_a_pair(tmp_path):
    task = dataclasses.replace(TNEWS, texts=columns("sentence", "keywords"))
    with pytest.raises(InputError, match="`texts` returns two texts, but pair=False"):
        read(tmp_path, [{"sentence": "a", "keywords": "b", "label": "100"}], task)


@pytest.mark.parametrize(
    ("record", "split", "message"),
    [
        ({"label": "100"}, "train", r"file.json, line 2: the key 'sentence' is missing"),
        ({"sentence": None, "label": "100"}, "train", r"line 2: 'sentence' is null; it must be a string"),
        ({"sentence": "x"}, "train", r"'label' is missing; the keys are 'sentence'; a training example needs a label"),
        ({"sentence": "x"}, "dev", r"'label' is missing; the keys are 'sentence'; --do_eval needs a file with labels"),
        ({"sentence": "x", "label": " "}, "train", r"line 2: 'label' is empty; a training example needs a label"),
        ({"sentence": "x", "label": "99"}, "dev", r"line 2: unknown label '99'; the labels are 100, 101"),
    ],
)
def test_errors_name_file_and_line(tmp_path, record, split, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, [{"sentence": "right", "label": "100"}, record], split=split)
