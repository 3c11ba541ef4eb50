"""Every task form memorizes sixteen examples and writes the expected files."""

import dataclasses
import functools
import json
import os
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning import _files_of, _same_kind, run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings, SpanSettings
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.registry import TASKS
from tests.classifiers import RECORDS, write_json_lines, write_start
from tests.conversion.google_checkpoint import values, write_google_checkpoint
from tests.serving.models import model_directory

SENTENCES = [record["sentence"] for record in RECORDS]
CONTEXTS = ["南京市长江大桥好", "中国人民的生活", "商店里的乒乓球拍", "球拍卖完了"]
SPANS = [("南京市", 0), ("长江大桥", 3), ("好", 7), ("南京", 0)], [("中国", 0), ("人民", 2), ("生活", 5), ("的", 4)], [
    ("商店", 0), ("里", 2), ("乒乓球", 4), ("球拍", 6)], [("球拍", 0), ("卖完", 2), ("了", 4), ("球", 0)]  # fmt: skip
QUESTIONS = ["a", "b", "c", "d"]


def settings(directory, kind, model_type="ambert", **flags):
    values = {
        "data_dir": str(directory),
        "output_dir": os.path.join(directory, "model"),
        "do_train": True,
        "do_eval": True,
        "do_predict": True,
        "max_seq_length": 16,
        "train_batch_size": 16,
        "num_train_epochs": 100,
        "learning_rate": 0.005,
        "save_checkpoints_steps": 1000,
        "steps_per_loop": 25,
        **write_start(directory, model_type),
        **flags,
    }
    return kind(**values)


def read(directory, name):
    with open(os.path.join(directory, "model", name), encoding="utf-8") as file:
        return json.load(file)


def write_splits(directory, records):
    for split in ("train", "dev", "test"):
        write_json_lines(os.path.join(directory, f"{split}.json"), records)


def squad(impossible=False):
    paragraphs = []
    for index, (context, answers) in enumerate(zip(CONTEXTS, SPANS, strict=True)):
        questions = [
            {
                "id": f"{index}{question}",
                "question": question,
                "answers": [] if impossible and question == "d" else [{"text": text, "answer_start": start}],
                "is_impossible": impossible and question == "d",
            }
            for question, (text, start) in zip(QUESTIONS, answers, strict=True)
        ]
        paragraphs.append({"context": context * (1 if index else 2), "qas": questions})
    return {"data": [{"paragraphs": paragraphs}]}


@functools.cache
def spans(task, model_type="ambert"):
    """Returns the directory of a model that has memorized the questions, and its results."""
    holder = tempfile.TemporaryDirectory()
    for split in ("train", "dev", "test"):
        with open(os.path.join(holder.name, f"{split}.json"), "w", encoding="utf-8") as file:
            json.dump(squad(impossible=task == "squad2"), file, ensure_ascii=False)
    # Twice the first context and a question of one token do not fit into 16 tokens, so there are several windows.
    flags = {"doc_stride": 4, "max_query_length": 4, "max_answer_length": 6, "num_train_epochs": 150}
    results = run_fine_tuning(settings(holder.name, SpanSettings, model_type, task_name=task, **flags))
    return holder, results


def test_sentence_pairs(tmp_path):
    labels = ["entailment", "neutral", "contradiction"]
    records = [
        {"sentence1": text, "sentence2": SENTENCES[-1 - i], "label": labels[i % 3]} for i, text in enumerate(SENTENCES)
    ]
    write_splits(tmp_path, records)
    results = run_fine_tuning(
        settings(tmp_path, ClassificationSettings, task_name="sentence_pair", max_seq_length=24, num_train_epochs=200)
    )
    assert results["accuracy"] > 0.99
    assert [p["label"] for p in read(tmp_path, "predictions.json")] == [r["label"] for r in records]


def test_marked_spans(tmp_path):
    # The two examples of a text differ only in the marks.
    nouns = ["南京", "长江", "中国", "商店", "人民", "生活", "球拍", "大桥"]
    records = []
    for first, second in zip(nouns, reversed(nouns), strict=True):
        text = f"{first}的{second}好"
        for noun, label in ((first, "true"), (second, "false")):
            target = {"span1_text": noun, "span1_index": text.index(noun), "span2_text": "好", "span2_index": 5}
            records.append({"idx": len(records), "text": text, "target": target, "label": label})
    write_splits(tmp_path, records)
    flags = {"task_name": "cluewsc2020", "max_seq_length": 24, "num_train_epochs": 200}
    results = run_fine_tuning(settings(tmp_path, ClassificationSettings, "bert_fine", **flags))
    assert results["accuracy"] > 0.99
    with open(os.path.join(tmp_path, "model", "cluewsc_predict.json"), encoding="utf-8") as file:
        assert [json.loads(line)["label"] for line in file] == [record["label"] for record in records]


def test_regression(tmp_path):
    records = [
        {"sentence1": text, "sentence2": SENTENCES[-1 - i], "score": i % 6} for i, text in enumerate(SENTENCES)
    ]  # fmt: skip
    write_splits(tmp_path, records)
    results = run_fine_tuning(
        settings(tmp_path, ClassificationSettings, task_name="sentence_pair_score", num_train_epochs=200)
    )
    assert results["pearson"] > 0.99
    assert results["spearman"] > 0.98
    assert results["fine_pearson"] > 0.9 and results["coarse_pearson"] > 0.9
    predictions = read(tmp_path, "predictions.json")
    np.testing.assert_allclose([p["score"] for p in predictions], [r["score"] for r in records], atol=0.6)


def test_multiple_choice(tmp_path):
    records = [
        {"context": text, "question": QUESTIONS[i % 4], "choices": SENTENCES[i % 13 : i % 13 + 2 + i % 3],
         "answer": i % 2}
        for i, text in enumerate(SENTENCES)
    ]  # fmt: skip
    write_splits(tmp_path, records)
    flags = {"task_name": "choice", "max_seq_length": 24, "num_train_epochs": 250}
    results = run_fine_tuning(settings(tmp_path, ClassificationSettings, "ambert_hybrid", **flags))
    assert results["accuracy"] > 0.99
    predictions = read(tmp_path, "predictions.json")
    assert [p["choice"] for p in predictions] == [r["answer"] for r in records]
    assert [len(p["probabilities"]) for p in predictions] == [len(r["choices"]) for r in records]


def test_idioms_for_groups_of_blanks(tmp_path):
    candidates = ["乒乓球拍", "长江大桥", "中国人民", "商店生活"]
    lines = [
        {"content": [f"#idiom{i:06}#{text}", f"{text}的#idiom{i + 100:06}#"], "candidates": candidates}
        for i, text in enumerate(SENTENCES[:8])
    ]
    answers = {f"#idiom{i:06}#": i % 4 for i in range(8)} | {f"#idiom{i + 100:06}#": (i + 1) % 4 for i in range(8)}
    for split in ("train", "dev", "test"):
        write_json_lines(tmp_path / f"{split}.json", lines)
        if split != "test":
            (tmp_path / f"{split}_answer.json").write_text(json.dumps(answers))
    flags = {"task_name": "chid", "max_seq_length": 24, "num_train_epochs": 200}
    results = run_fine_tuning(settings(tmp_path, ClassificationSettings, "bert_fine", **flags))
    assert results["accuracy"] > 0.99
    assert read(tmp_path, "chid_predict.json") == answers
    assert read(tmp_path, "chid11_predict.json") == answers


class TestSpans:
    def test_answers(self):
        holder, results = spans("squad1")
        assert results["exact_match"] > 0.99
        assert results["f1"] > 0.99
        assert results["windows"] > 16
        directory = holder.name
        predictions = read(directory, "predictions.json")
        assert predictions == {
            f"{i}{question}": text
            for i, answers in enumerate(SPANS)
            for question, (text, _) in zip(QUESTIONS, answers, strict=True)
        }
        best = read(directory, "nbest_predictions.json")["1b"][0]
        assert (best["text"], best["start_byte"], best["end_byte"]) == ("人民", 6, 12)
        assert not os.path.exists(os.path.join(directory, "model", "null_odds.json"))

    def test_no_answer(self):
        holder, results = spans("squad2", "ambert_hybrid")
        assert results["exact_match"] > 0.99
        assert results["no_answer_questions"] == 4
        assert results["no_answer_exact_match"] == 1
        assert results["best_f1"] >= results["f1"]
        predictions, odds = (read(holder.name, name) for name in ("predictions.json", "null_odds.json"))
        assert [name for name, text in predictions.items() if not text] == ["0d", "1d", "2d", "3d"]
        assert all((odds[name] > 0) == (text == "") for name, text in predictions.items())

    def test_a_coarse_model_gives_whole_coarse_tokens(self):
        results = spans("squad1", "bert_coarse")[1]
        # 南京 is inside the word 南京市, and 球 inside 球拍, so these two cannot be answered correctly.
        assert results["exact_match"] >= 12 / 16
        assert results["f1"] >= 12 / 16

    def test_a_trained_model_takes_flags_for_decoding_only(self, tmp_path):
        def evaluate(**flags):
            holder, _ = spans("squad1")
            directories = {"init_checkpoint": os.path.join(holder.name, "model"), "output_dir": str(tmp_path)}
            run_fine_tuning(
                SpanSettings(task_name="squad1", data_dir=holder.name, do_predict=True, **directories, **flags)
            )

        # One fine token is one Chinese character.
        evaluate(max_answer_length=1, max_seq_length=16, doc_stride=4)
        predictions = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
        assert {len(text) for text in predictions.values()} == {1}
        for flags in ({"doc_stride": 2}, {"max_query_length": 9}, {"max_seq_length": 12}):
            ((name, value),) = flags.items()
            with pytest.raises(InputError, match=rf"--{name}={value}: the model in .*model was fine-tuned with \d+; "):
                evaluate(**flags)

    @pytest.mark.parametrize("grain", ["fine", "coarse"])
    def test_one_grain_alone(self, tmp_path, grain):
        holder, results = spans("squad1")
        single = run_fine_tuning(
            SpanSettings(
                task_name="squad1", data_dir=holder.name, init_checkpoint=os.path.join(holder.name, "model"),
                output_dir=str(tmp_path), do_eval=True, inference=grain,
            )
        )  # fmt: skip
        assert single["exact_match"] == results[f"{grain}_exact_match"]
        assert single["loss"] == pytest.approx(results[f"{grain}_loss"], abs=1e-4)


class TestGoogleCommandLine:
    """The command line of google-research/bert's run_squad.py, with the parts of the checkpoint in separate places."""

    def settings(self, tmp_path, **flags):
        prefix = write_google_checkpoint(tmp_path / "bert", values())
        for name in ("bert_config.json", "vocab.txt"):
            (tmp_path / "bert" / name).rename(tmp_path / name)
        for split in ("train", "dev"):
            content = json.dumps(squad(impossible=True), ensure_ascii=False)
            (tmp_path / f"{split}-v2.0.json").write_text(content, encoding="utf-8")
        return SpanSettings(
            vocab_file=str(tmp_path / "vocab.txt"),
            bert_config_file=str(tmp_path / "bert_config.json"),
            init_checkpoint=prefix,
            do_train=True,
            train_file=str(tmp_path / "train-v2.0.json"),
            do_predict=True,
            predict_file=str(tmp_path / "dev-v2.0.json"),
            train_batch_size=12,
            learning_rate=3e-5,
            num_train_epochs=1.0,
            max_seq_length=16,
            doc_stride=4,
            output_dir=str(tmp_path / "model"),
            **flags,
        )

    def test_squad_2(self, tmp_path):
        settings = self.settings(tmp_path, version_2_with_negative=True)
        run_fine_tuning(settings)
        assert read(tmp_path, "task.json")["task_name"] == "squad2"
        assert read(tmp_path, "null_odds.json").keys() == read(tmp_path, "predictions.json").keys()
        # Also without an evaluation, a finished training is not taken for one with other settings.
        with pytest.raises(InputError, match=r"contains a model trained with learning_rate=3e-05, not 5e-05"):
            run_fine_tuning(dataclasses.replace(settings, learning_rate=5e-5))

    def test_questions_without_an_answer_need_the_flag(self, tmp_path):
        with pytest.raises(InputError, match=r"train-v2.0.json, question 0d: has no answer"):
            run_fine_tuning(self.settings(tmp_path))


def test_remote_files(tmp_path):
    holder, results = spans("squad2", "ambert_hybrid")
    for name in ("dev.json", "test.json"):
        tf.io.gfile.makedirs("ram://squad")
        tf.io.gfile.copy(os.path.join(holder.name, name), f"ram://squad/{name}", overwrite=True)
    found = run_fine_tuning(
        SpanSettings(
            task_name="squad2", data_dir="ram://squad", init_checkpoint=os.path.join(holder.name, "model"),
            output_dir="ram://results", do_eval=True, do_predict=True,
        )
    )  # fmt: skip
    assert found["f1"] == results["f1"]
    with tf.io.gfile.GFile("ram://results/predictions.json") as file:
        assert json.load(file) == read(holder.name, "predictions.json")
    assert {"eval_results.json", "nbest_predictions.json"} <= set(tf.io.gfile.listdir("ram://results"))


def test_data_augmentation_is_part_of_a_model(tmp_path):
    model = shutil.copytree(model_directory("sentence"), tmp_path / "model")
    task = json.loads((model / "task.json").read_text())
    task.update(task_name="tnews", data_augmentation="keywords")
    (model / "task.json").write_text(json.dumps(task))
    write_json_lines(tmp_path / "dev.json", RECORDS)
    with pytest.raises(InputError, match=r"--nodata_augmentation: the model in .* \(keywords\); omit the flag"):
        run_fine_tuning(
            ClassificationSettings(
                task_name="tnews", data_dir=str(tmp_path), output_dir=str(model), do_eval=True, data_augmentation=False
            )
        )


@pytest.mark.parametrize(
    ("name", "model", "same"),
    [
        ("fewclue_tnews", {"task_name": "tnews"}, True),
        ("tnews", {"task_name": "fewclue_tnews"}, True),
        ("cluewsc2020", {"task_name": "fewclue_cluewsc"}, True),
        ("fewclue_chid", {"task_name": "chid"}, True),
        ("c3", {"task_name": "race"}, False),
        ("fewclue_chid", {"task_name": "c3"}, False),
        ("choice", {"task_name": "c3"}, True),
        ("choice", {"task_name": "chid"}, False),
        ("csl", {"task_name": "afqmc"}, False),  # both have the labels 0 and 1
        ("mnli", {"task_name": "cmnli"}, False),
        ("tnews", {"task_name": "fewclue_tnews", "labels": ("a", "b")}, False),
        ("reviews", {"task_name": "sentence", "labels": ("neg", "pos")}, True),
        ("sentence", {"task_name": "tnews"}, True),
        ("sentence_pair", {"task_name": "tnews"}, False),
        ("sentence_pair_score", {"task_name": "stsb"}, True),
        ("stsb", {"task_name": "sentence_pair_score"}, False),
        ("squad2", {"task_name": "squad1"}, True),
        ("weibo", {"task_name": "msra"}, True),
        ("weibo", {"task_name": "segmentation"}, False),
    ],
)
def test_which_models_of_other_tasks_can_be_used(name, model, same):
    task = TASKS[model["task_name"]]
    fields = {field: getattr(task, field) for field in ("form", "inputs", "pair", "outside")}
    labels = tuple(label.name for label in task.labels or ())
    config = TaskConfig(max_seq_length=16, max_coarse_seq_length=16, **{**fields, "labels": labels, **model})
    assert _same_kind(config, TASKS[name]) == same


def test_an_additional_set_may_be_in_a_directory_of_its_own_also_remotely(tmp_path):
    for root in (str(tmp_path), "ram://glue"):
        tf.io.gfile.makedirs(f"{root}/AX")
        with tf.io.gfile.GFile(f"{root}/AX/diagnostic.tsv", "w") as file:
            file.write("index\tsentence1\tsentence2\n")
        for data_dir in (f"{root}/MNLI", f"{root}/MNLI/"):
            settings = ClassificationSettings(task_name="mnli", data_dir=data_dir)
            assert _files_of(TASKS["ax"], settings, "test") == (f"{root}/AX/diagnostic.tsv",)


def test_additional_sets_are_read_before_training(tmp_path):
    line = "南京\t中国\tneutral\n"
    for name in ("train", "dev_matched", "dev_mismatched"):
        content = "sentence1\tsentence2\tgold_label\n" + line * 2
        (tmp_path / f"{name}.tsv").write_text(content + ("好" if "mis" in name else ""), encoding="utf-8")
    with pytest.raises(InputError, match=r"dev_mismatched.tsv, line 4: "):
        run_fine_tuning(settings(tmp_path, ClassificationSettings, task_name="mnli", do_predict=False))
    assert not (tmp_path / "model").exists()


def test_a_task_name_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"--data_dir is needed: .*train.json.*CLUEbenchmark.*\./data has no such"):
        run_fine_tuning(ClassificationSettings(task_name="tnews"))
    (tmp_path / "data" / "tnews").mkdir(parents=True)
    records = [{"sentence": text, "label": "100"} for text in SENTENCES]
    write_json_lines(tmp_path / "data" / "tnews" / "train.json", records)
    write_json_lines(tmp_path / "data" / "tnews" / "dev.json", records)
    with pytest.raises(InputError, match=r"--init_checkpoint is needed: .*\(./pretrained does not exist\)"):
        run_fine_tuning(ClassificationSettings(task_name="tnews"))
    start = write_start(str(tmp_path), "bert_fine")
    results = run_fine_tuning(
        ClassificationSettings(task_name="tnews", max_seq_length=16, num_train_epochs=1, **start)
    )  # fmt: skip
    assert results["examples"] == 16
    assert os.path.exists(tmp_path / "output" / "tnews" / "eval_results.json")


@pytest.mark.parametrize(
    ("kind", "flags", "message"),
    [
        (
            ClassificationSettings,
            {"task_name": "sentence", "output_dir": "a [1]"},
            r"--output_dir=a \[1\]: TensorFlow cannot read checkpoints under a name with",
        ),
        (ClassificationSettings, {"task_name": "squad1"}, "--task_name=squad1: is for run_squad.py"),
        (SpanSettings, {"task_name": "rte"}, "--task_name=rte: is for run_classifier.py"),
        (ClassificationSettings, {"task_name": "ax", "do_train": True}, "is evaluated with a model of mnli"),
        (ClassificationSettings, {"task_name": "sentence", "num_runs": 2, "do_eval": False}, "need --do_train, and"),
        (ClassificationSettings, {"task_name": "sentence", "grid_batch_sizes": "16,x"}, "--grid_batch_sizes=16,x"),
        (
            ClassificationSettings,
            {"task_name": "sentence", "grid_batch_sizes": "16,12", "gradient_accumulation_steps": 8},
            "--grid_batch_sizes=16,12: must be multiples of 8",
        ),
        (ClassificationSettings, {"task_name": "sentence", "vocab_file": "a.txt"}, "--vocab_file: --init_checkpoint"),
        (
            ClassificationSettings,
            {"task_name": "tnews", "data_source": "tfds", "data_dir": ""},
            "TensorFlow Datasets does not have",
        ),
        *(
            (
                ClassificationSettings,
                {"task_name": "cola", "data_source": "tfds", "data_dir": "", flag: "mine"},
                f"--{flag}=mine: has no effect with --data_source=tfds; omit one of them",
            )
            for flag in ("data_dir", "train_file", "eval_file", "predict_file")
        ),
        (
            ClassificationSettings,
            {"task_name": "sentence", "tfds_data_dir": "mine"},
            "--tfds_data_dir=mine: has no effect with --data_source=files; omit one of them",
        ),
    ],
)
def test_incompatible_flags(tmp_path, kind, flags, message):
    write_splits(tmp_path, RECORDS)
    with pytest.raises(InputError, match=message):
        run_fine_tuning(settings(tmp_path, kind, **flags))
