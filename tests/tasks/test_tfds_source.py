import pytest
import tensorflow_datasets as tfds

from ambert_tf.errors import InputError
from ambert_tf.finetuning.span_examples import read_questions
from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.glue import COLA, MNLI, STSB, WNLI
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.reading_comprehension import RACE, SQUAD2
from ambert_tf.tasks.sequence_labelling import CONLL2003
from ambert_tf.tasks.tfds_source import has_split, tfds_records


def prepared(tmp_path, name, config, version, splits):
    """Writes examples as if TensorFlow Datasets had prepared one of its data sets."""
    builder = tfds.builder(f"{name}/{config}" if config else name, data_dir=str(tmp_path))
    directory = tmp_path / name / (config or "") / version
    directory.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version(version), data_dir=str(directory), module_name=name, config_name=config
    )
    info = tfds.core.DatasetInfo(builder=identity, features=builder.info.features)
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=100)
    writer.initialize_splits(list(splits))
    for split, examples in splits.items():
        writer.add_examples({split: examples})
    writer.close_all()


def version_of(name):
    return str(tfds.builder(name).version)


def test_labels_are_those_of_the_official_file(tmp_path):
    rows = [{"idx": 7, "sentence": "They drank.", "label": 1}, {"idx": 8, "sentence": "Drank the.", "label": 0}]
    test = [{"idx": 0, "sentence": "Bill left.", "label": -1}]
    prepared(tmp_path, "glue", "cola", version_of("glue/cola"), {"train": rows, "validation": rows, "test": test})
    records = tfds_records(COLA, "dev", str(tmp_path))
    found = read_examples(COLA, records, "dev", ("0", "1")).examples
    assert sorted((e.id, e.inputs.text, e.label) for e in found) == [(7, "They drank.", 1), (8, "Drank the.", 0)]
    (to_predict,) = read_examples(COLA, tfds_records(COLA, "test", str(tmp_path)), "test", needs_labels=False).examples
    assert (to_predict.id, to_predict.label) == (0, None)
    with pytest.raises(InputError, match="record 1: 'label' is null; --do_eval needs"):
        read_examples(COLA, tfds_records(COLA, "test", str(tmp_path)), "dev", ("0", "1"))


def test_columns_have_the_official_names(tmp_path):
    rows = [{"idx": 0, "premise": "p", "hypothesis": "h", "label": 2}]
    splits = dict.fromkeys(("train", "validation_matched", "validation_mismatched"), rows)
    prepared(tmp_path, "glue", "mnli", version_of("glue/mnli"), splits)
    (record,) = tfds_records(MNLI, "dev", str(tmp_path))
    assert record.content == {"idx": 0, "sentence1": "p", "sentence2": "h", "gold_label": "contradiction"}
    prepared(
        tmp_path, "glue", "stsb", version_of("glue/stsb"),
        {"train": [{"idx": 0, "sentence1": "a", "sentence2": "b", "label": 2.5}]},
    )  # fmt: skip
    (record,) = tfds_records(STSB, "train", str(tmp_path))
    assert record.content["score"] == 2.5


def test_entities(tmp_path):
    row = {
        "tokens": ["EU", "rejects", "New", "York"], "pos": ["NNP", "VBZ", "NNP", "NNP"],
        "chunks": ["B-NP", "B-VP", "B-NP", "I-NP"], "ner": ["B-ORG", "O", "B-LOC", "I-LOC"],
    }  # fmt: skip
    prepared(tmp_path, "conll2003", "conll2003", version_of("conll2003/conll2003"), {"train": [row]})
    (record,) = tfds_records(CONLL2003, "train", str(tmp_path))
    assert record.content == {"text": "EU rejects New York", "spans": [Span(0, 2, "ORG"), Span(11, 19, "LOC")]}


def test_squad(tmp_path):
    row = {
        "id": "q1", "title": "t", "context": "a cat sat", "question": "who?", "is_impossible": False,
        "answers": {"text": ["cat"], "answer_start": [2]}, "plausible_answers": {"text": [], "answer_start": []},
    }  # fmt: skip
    none = {**row, "id": "q2", "answers": {"text": [], "answer_start": []}, "is_impossible": True}
    prepared(tmp_path, "squad", "v2.0", version_of("squad/v2.0"), {"train": [row, none]})
    found = read_questions(tfds_records(SQUAD2, "train", str(tmp_path)), "train", True, True)
    assert sorted((e.id, e.answers, e.span) for e in found.examples) == [("q1", ("cat",), (2, 5)), ("q2", (), None)]


def test_race_has_one_record_per_question(tmp_path):
    row = {
        "example_id": "high1.txt", "article": "text", "questions": ["q", "r _"],
        "options": [["a", "b", "c", "d"], ["e", "f", "g", "h"]], "answers": ["C", "A"],
    }  # fmt: skip
    for config in ("middle", "high"):
        prepared(tmp_path, "race", config, version_of(f"race/{config}"), {"dev": [row]})
    found = [record.content for record in tfds_records(RACE, "dev", str(tmp_path))]
    assert len(found) == 4
    assert found[1] == {
        "id": "high1.txt-1", "context": "text", "question": "r _", "choices": ["e", "f", "g", "h"], "answer": 0
    }  # fmt: skip


def test_missing_tasks_and_splits_are_errors():
    assert has_split(WNLI, "test") and not has_split(SQUAD2, "test") and not has_split(TNEWS, "dev")
    with pytest.raises(InputError, match=r"does not have the task \(tnews\); use files"):
        list(tfds_records(TNEWS, "dev"))
    with pytest.raises(InputError, match=r"does not have a test split of it \(squad2\)"):
        list(tfds_records(SQUAD2, "test"))
