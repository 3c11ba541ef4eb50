"""Whatever a file contains, its reader either returns examples or raises an InputError."""

import json
import os
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ambert_tf.errors import InputError
from ambert_tf.finetuning.span_examples import read_questions
from ambert_tf.models.task_config import CLASSIFICATION, SPANS
from ambert_tf.tasks.data_files import file_records
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.labels import find_labels
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tasks.sequence_labelling_files import conll_columns, json_spans, segmented_text, tagged_words

# A valid file of each format, as the values to fuzz.
QUESTION = {"id": "q", "question": "?", "answers": [{"text": "市", "answer_start": 2}], "is_impossible": False}
FORMATS = {
    "tnews": [{"label": "100", "sentence": "标题", "keywords": "词", "id": 1}],
    "cluewsc2020": [
        {
            "text": "小红说她来", "label": "true", "idx": 1,
            "target": {"span1_text": "小红", "span1_index": 0, "span2_text": "她", "span2_index": 3},
        }
    ],
    "csl": [{"id": 1, "abst": "摘要", "keyword": ["词"], "label": "1"}],
    "ocnli": [{"sentence1": "一", "sentence2": "二", "label": "neutral"}],
    "sentence": [{"sentence": "a", "label": "x"}, {"sentence": "b", "label": "y"}],
    "sentence_pair_score": [{"sentence1": "a", "sentence2": "b", "score": 0.5}],
    "choice": [{"context": "c", "question": "q", "choices": ["a", "b"], "answer": 1}],
    "chid": [{"content": ["他#idiom000001#。"], "candidates": ["一", "二"]}],
    "fewclue_chid": [{"id": 1, "content": "他#idiom#。", "candidates": ["一", "二"], "answer": 1}],
    "c3": [[["男：好"], [{"question": "谁？", "choice": ["他", "她"], "answer": "她"}], "1"]],
    "race": {"article": "t", "questions": ["q"], "options": [["a", "b"]], "answers": ["B"], "id": "1"},
    "squad2": {"version": "2", "data": [{"title": "t", "paragraphs": [{"context": "南京市", "qas": [QUESTION]}]}]},
    "cmrc2018": [
        {"context_text": "南京市", "context_id": "0", "qas": [{"query_id": "q", "query_text": "?", "answers": ["市"]}]}
    ],
}  # fmt: skip
TABLES = {
    "cola": "gj04\t1\t\tThey drank.\n",
    "mrpc": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\ta\tb\n",
    "stsb": "index\tsentence1\tsentence2\tscore\n0\ta\tb\t3.8\n",
    "qqp": "id\tquestion1\tquestion2\tis_duplicate\n0\ta\tb\t1\n",
    "ax": "Lexical Semantics\tPremise\tHypothesis\tLabel\nx\ta\tb\tneutral\n",
    "sentence": 'sentence,label\n"a, b",x\nc,y\n',
    "sentence_pair_score": "sep=;\nsentence1;sentence2;score\na;b;1\n",
}
WHOLE_FILES = {"c3", "race", "squad2", "cmrc2018"}
LABELS = ("100", "101", "true", "false", "0", "1", "x", "y", "neutral", "entailment")

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["\ud83d", "\x00", "", " ", "#idiom1#", 10**30, -1, 2, ["l"], {"id": ["l"]}, "NaN", "1.0"])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
BYTES = st.sampled_from(
    [b"\x00", b"\r", b"\n", b"\xef\xbb\xbf", b"\xff", b"\xff\xfe", b'"', b"{", b"]", b"[" * 2000, b"\t", b",", b";",
     b"\\ud83d", b"1" * 5000, b"'", b"#idiom1#", b"\xe4\xb8", b"\xe2\x80\xa8", b"\x1a"]
)  # fmt: skip


@st.composite
def changed(draw, value):
    """Replaces, removes or doubles one part of a JSON value, wherever it is."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = draw(st.sampled_from(list(keys)))
        if isinstance(value, dict) and draw(st.integers(0, 5)) == 0:
            return {name: item for name, item in value.items() if name != key}
        if isinstance(value, list) and draw(st.integers(0, 3)) == 0:
            return [*value, value[key]]
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[key] = draw(changed(value[key]))
        return copy
    return draw(VALUES)


@st.composite
def damaged(draw, content):
    """Inserts bytes into a file, or truncates it."""
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(BYTES) + content[place:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 4)) == 0 else content


@st.composite
def json_files(draw, name):
    value = draw(changed(FORMATS[name]))
    lines = [value] if name in WHOLE_FILES or not isinstance(value, list) else value
    text = "\n".join(json.dumps(line, ensure_ascii=draw(st.booleans()), default=str) for line in lines)
    return draw(damaged(text.encode("utf-8", "surrogatepass")))


def read(name, files, split):
    """Reads a file, first of `files`, as a run does."""
    task = TASKS[name]
    with tempfile.TemporaryDirectory() as directory:
        for file, content in files.items():
            with open(os.path.join(directory, file), "wb") as output:
                output.write(content)
        path = os.path.join(directory, next(iter(files)))
        try:
            if task.form == SPANS:
                read_questions(file_records(task, [path], split), split, split != "test", task.null_answers)
                return
            if task.form == CLASSIFICATION and split == "train":
                find_labels(task, directory, file_records(task, [path], split))
            read_examples(task, file_records(task, [path], split), split, LABELS, needs_labels=split != "test")
        except InputError as error:
            assert str(error).encode(), "an error is printed as UTF-8"


SPLITS = st.sampled_from(["train", "dev", "test"])


def fuzz(examples):
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_json(name):
    @fuzz(30)
    @given(json_files(name), SPLITS)
    def check(content, split):
        read(name, {"train.json": content}, split)

    check()


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    @fuzz(30)
    @given(damaged(TABLES[name].encode()), SPLITS, st.sampled_from(["train.csv", "train.TSV", "train.txt"]))
    def check(content, split, file):
        read(name, {file: content}, split)

    check()


@pytest.mark.parametrize(("file", "answers"), [("train_answer.json", b'{"#idiom000001#": 1}'),
                                               ("train_answer.csv", b"#idiom000001#,1\n")])  # fmt: skip
def test_answers_of_chid(file, answers):
    lines = json.dumps(FORMATS["chid"][0]).encode(), repr(FORMATS["chid"][0]).encode()

    @fuzz(30)
    @given(damaged(answers), st.sampled_from(lines).flatmap(damaged))
    def check(content, line):
        read("chid", {"train.txt": line, file: content}, "train")

    check()


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        (conll_columns(), "高\tB-PER\n勇\tI-PER\n\n# x\nEU B-ORG\n"),
        (conll_columns(position_digits=True, strict=False), "高0\tB-PER\n勇1\tI-PER\n"),
        (json_spans("label", end_inclusive=True), '{"text": "叶老桂说", "label": {"name": {"叶老桂": [[0, 2]]}}}\n'),
        (json_spans(byte_offsets=True), '{"id": 1, "text": "北京", "entities": [[0, 3, "L"]]}'),
        (segmented_text, "共同  创造 美好\n"),
        (tagged_words(), "19980101-01-001-002/m  [中国/ns  电视台/n]nt\n"),
    ],
)
def test_sequence_labelling(reader, content):
    @fuzz(30)
    @given(damaged(content.encode()))
    def check(data):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            try:
                for record in reader(file.name, "train_file"):
                    for span in record.content.get("spans", ()):
                        assert 0 <= span.start < span.end <= len(record.content["text"])
            except InputError as error:
                assert str(error).encode()

    check()


@pytest.mark.parametrize("content", [b'["100", "101"]', b'{"label": "100", "label_desc": "a"}\n{"label": 101}\n'])
def test_labels(content):
    @fuzz(30)
    @given(damaged(content))
    def check(content):
        read("tnews", {"train.json": json.dumps(FORMATS["tnews"][0]).encode(), "labels.json": content}, "train")

    check()
