"""Sequence labelling learns sixteen sentences by heart, and leaves the files that it should."""

import functools
import json
import os
import tempfile

import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.evaluation import evaluation_scores
from ambert_tf.finetuning.fine_tuning import find_labelling_task, run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings, TaggingSettings
from ambert_tf.finetuning.form import Logits
from ambert_tf.finetuning.token_form import TokenForm
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.tagging_schemes import Span, tags_of_spans
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.registry import TASKS
from tests.classifiers import write_json_lines, write_start
from tests.tokenizers import chinese_tokenizer

# Places and things; 長 is not in the vocabulary, the zero-width space is in no token.
ENTITIES = {
    "LOC": ["南京", "南京市", "長江", "中国", "长江\u200b大桥"],
    "THING": ["乒乓球", "球拍", "cafe8", "商店", "大桥"],
}
FRAMES = ["{}的{}好", "人民卖完了{}，{}", "{}里{}", "生活的{}和 {}"]


def sentences():
    """Yields sixteen texts with their spans of characters."""
    for index in range(16):
        places, things = ENTITIES["LOC"], ENTITIES["THING"]
        pair = [(places[index % 5], "LOC"), (things[(2 * index + index // 5) % 5], "THING")]
        pair = pair[:: -1 if index % 3 else 1]
        text = FRAMES[index % 4].format(*(string for string, _ in pair))
        spans, position = [], 0
        for string, label in pair:
            start = text.index(string, position)
            position = start + len(string)
            spans.append(Span(start, position, label))
        # The second text does not fit into a window.
        yield (text * 4, [Span(s + n * len(text), e + n * len(text), label) for n in range(4) for s, e, label in spans]
               ) if index == 1 else (text, spans)  # fmt: skip


def write_entities(directory, splits=("train", "dev", "test"), inclusive=False):
    for split in splits:
        records = []
        for number, (text, spans) in enumerate(sentences()):
            record = {"id": f"s{number}", "text": text}
            if split != "test":
                record["entities"] = [
                    {"start": s, "end": e - inclusive, "label": label, "text": text[s:e]} for s, e, label in spans
                ]
            records.append(record)
        write_json_lines(os.path.join(directory, f"{split}.json"), records)


def tagging_settings(directory, model_type="ambert", **flags):
    values = {
        "task_name": "entities",
        "data_dir": str(directory),
        "output_dir": os.path.join(directory, "model"),
        "do_train": True,
        "do_eval": True,
        "do_predict": True,
        "max_seq_length": 16,
        "train_batch_size": 18,
        "num_train_epochs": 120,
        "learning_rate": 0.01,
        "save_checkpoints_steps": 1000,
        "steps_per_loop": 40,
        **write_start(directory, model_type),
        **flags,
    }
    return TaggingSettings(**values)


def read(directory, name):
    with open(os.path.join(directory, "model", name), encoding="utf-8") as file:
        return json.load(file)


@functools.cache
def learnt(model_type="ambert", **flags):
    """Returns the directory of a model that learnt the sentences, and its results."""
    holder = tempfile.TemporaryDirectory()
    write_entities(holder.name)
    return holder, run_fine_tuning(tagging_settings(holder.name, model_type, **flags))


class TestEntities:
    def test_scores_and_predictions(self):
        holder, results = learnt()
        assert results["f1"] > 0.99
        assert results["joint_f1"] == results["f1"]
        assert results["fine_f1"] > 0.9 and results["coarse_f1"] > 0.8
        assert results["f1_LOC"] > 0.99 and results["f1_THING"] > 0.99
        assert results["entities"] == results["reachable_entities"] == 38
        assert results["windows"] > results["examples"] == 16
        for row, (number, (text, spans)) in zip(
            read(holder.name, "predictions.json"), enumerate(sentences()), strict=True
        ):
            assert (row["id"], row["text"]) == (f"s{number}", text)
            found = [Span(one["start"], one["end"], one["label"]) for one in row["entities"]]
            assert found == spans
            assert all(text[one["start"] : one["end"]] == one["text"] for one in row["entities"])
        with open(os.path.join(holder.name, "model", "eval_results.txt"), encoding="utf-8") as file:
            assert "LOC       19      0      0\nTHING      0     19      0\n" in file.read()

    @pytest.mark.parametrize("grain", ["fine", "coarse"])
    def test_one_grain_alone(self, tmp_path, grain):
        holder, results = learnt()
        single = run_fine_tuning(
            TaggingSettings(
                task_name="entities", data_dir=holder.name, init_checkpoint=os.path.join(holder.name, "model"),
                output_dir=str(tmp_path), do_eval=True, inference=grain,
            )
        )  # fmt: skip
        assert single["f1"] == results[f"{grain}_f1"]
        assert single["loss"] == pytest.approx(results[f"{grain}_loss"], abs=1e-4)


def test_segmentation(tmp_path):
    lines = {
        "train": "南京市 的 长江大桥\n中国 人民 卖完 了\n好 的 生活\n",
        "dev": "南京 的 长江大桥\n中国 人民 卖完 了\n",
        "test": "南京的长江大桥\n中国人民卖完了\n",
    }
    for split, content in lines.items():
        (tmp_path / f"{split}.txt").write_text(content, encoding="utf-8")
    flags = {"task_name": "segmentation", "crf": True, "num_train_epochs": 40, "train_batch_size": 3}
    results = run_fine_tuning(tagging_settings(tmp_path, "bert_coarse", **flags))
    assert read(tmp_path, "task.json")["crf"] is True
    # 南京 is not a word of the training file. Every character is in a word.
    assert results["oov_rate"] == pytest.approx(1 / 7)
    rows = read(tmp_path, "predictions.json")
    assert ["".join(word["text"] for word in row["entities"]) for row in rows] == lines["test"].split()
    assert [word["text"] for word in rows[1]["entities"]] == ["中国", "人民", "卖完", "了"]
    # A later evaluation knows the words of the training file from the model directory.
    form = TokenForm(TASKS["segmentation"], TaskConfig.read(str(tmp_path / "model")))
    form.read_facts(str(tmp_path / "model"))
    assert form.known_words == set(lines["train"].split())
    # A rerun with other data that is refused leaves these words as they are.
    (tmp_path / "train.txt").write_text(lines["train"].replace("生活", "大桥"), encoding="utf-8")
    with pytest.raises(InputError, match=r"trained with training_data=3 rows, CRC-32 \w{8}, not 3 rows, CRC-32 \w{8}"):
        run_fine_tuning(tagging_settings(tmp_path, "bert_coarse", **flags))
    assert (tmp_path / "model" / "train_words.txt").read_text(encoding="utf-8").split() == sorted(form.known_words)


def test_a_segmentation_whose_training_words_are_not_known_has_no_oov_scores(tmp_path):
    path = tmp_path / "dev.txt"
    path.write_text("南京 的 长江大桥\n中国 人民\n", encoding="utf-8")
    task = TASKS["segmentation"]
    config = TaskConfig(
        task_name="segmentation", form="sequence_labelling", labels=("word",), tagging_scheme="BMES", outside=False,
        max_seq_length=16, max_coarse_seq_length=16,
    )  # fmt: skip
    form = TokenForm(task, config)
    form.read_facts(str(tmp_path))  # as of a directory without train_words.txt
    split = form.read(task.records(str(path), "eval_file"), "dev", (str(path),), needs_labels=True)
    data = TokenizedExamples(split, config, chinese_tokenizer())
    found = logits_of_tags(data, config)
    heads = ("joint", "fine", "coarse")
    logits = Logits(
        dict.fromkeys(heads, found.by_head["joint"]), 1.0, transitions=dict.fromkeys(heads, found.transitions["joint"])
    )
    results = evaluation_scores(form, logits, data, {}, heads)
    assert results["f1"] == results["joint_f1"] == results["fine_f1"] == 1.0
    assert not [name for name in results if "oov" in name]


def logits_of_tags(data, config):
    """Returns the logits of a model that is sure of the right tags."""
    values = np.eye(len(config.tag_set.tags) + 1, dtype=np.float32)[data.targets["fine_tags"]][:, :, 1:] * 9
    free = np.where(config.tag_set.allowed(), 0, -1e8).astype(np.float32)
    return Logits({"joint": values}, 1.0, transitions={"joint": free})


def test_cluener_predictions_have_the_format_of_the_leaderboard(tmp_path):
    line = {"text": "南京市的商店好", "label": {"address": {"南京市": [[0, 2]]}, "company": {"商店": [[4, 5]]}}}
    path = write_json_lines(tmp_path / "dev.json", [{"id": 7, **line}])
    task = TASKS["cluener"]
    labels = tuple(label.name for label in task.labels)
    config = TaskConfig(
        task_name="cluener", form="sequence_labelling", labels=labels, max_seq_length=16, max_coarse_seq_length=16
    )
    form = TokenForm(task, config)
    split = form.read(task.records(path, "eval_file"), "dev", (path,), needs_labels=True)
    data = TokenizedExamples(split, config, chinese_tokenizer())
    logits = logits_of_tags(data, config)
    form.write_predictions(str(tmp_path), logits, data)
    with open(tmp_path / "cluener_predict.json", encoding="utf-8") as file:
        assert json.loads(file.read()) == {"id": 7, **line}
    assert form.scores(logits, data, ("joint",))["f1"] == 1.0
    assert form.table(logits, data)[1].split() == [*labels, "-"]


def test_columns_of_ones_own(tmp_path):
    text, spans = next(sentences())
    tags = tags_of_spans(spans, len(text), "BMES")
    lines = [f"{tag}\tx\t{character}" for character, tag in zip(text, tags, strict=True)]
    path = tmp_path / "dev.bmes"
    path.write_text("\n".join(lines), encoding="utf-8")
    task = find_labelling_task(TaggingSettings(task_name="columns", token_column=2, tag_column=0))
    (record,) = task.records(str(path), "eval_file")
    assert (record.content["text"], record.content["spans"]) == (text, spans)


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ({"text": "南京"}, "dev.json, line 17: has no labels; --do_eval needs a file with labels"),
            ({"text": "南京", "entities": [[0, 2, "ORG"]]}, "line 17: unknown label 'ORG'; the labels are LOC, THING"),
            ({"text": "南京", "entities": [[0, 3, "LOC"]]}, "line 17: the entity .LOC. from 0 to 3 is not inside"),
        ],
    )
    def test_wrong_lines(self, tmp_path, line, message):
        write_entities(tmp_path)
        with open(tmp_path / "dev.json", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with pytest.raises(InputError, match=message):
            run_fine_tuning(tagging_settings(tmp_path))

    def test_flags(self, tmp_path):
        with pytest.raises(InputError, match=r"--task_name=cluener: is for run_ner.py"):
            run_fine_tuning(ClassificationSettings(task_name="cluener"))
        with pytest.raises(InputError, match=r"--task_name=tnews: is for run_classifier.py"):
            run_fine_tuning(TaggingSettings(task_name="tnews"))
        with pytest.raises(InputError, match=r"--tag_column: describes data of your own \(--task_name=columns\)"):
            run_fine_tuning(TaggingSettings(task_name="msra", tag_column=1))
        (tmp_path / "train.json").write_text('{"text": "南京"}\n', encoding="utf-8")
        with pytest.raises(InputError, match=r"train.json: has no labels; a task needs at least one"):
            run_fine_tuning(tagging_settings(tmp_path, do_eval=False, do_predict=False))
