import json
import os

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import ambert_tf
from ambert_tf.conversion.conversion_settings import ConversionSettings
from ambert_tf.conversion.convert import convert_checkpoint
from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings
from ambert_tf.finetuning.training_runs import copy_directory
from tests.classifiers import RECORDS, fine_tuned, write_json_lines
from tests.serving.models import export, model_directory

TEXTS = [
    "南京市长江大桥",
    "好😀👍🏽了",
    "iPhone8 on the cafe",
    "乒乓球 3:2, 2024",
    "ＡＢＣ１２３，中国！",
    "",
    "   ",
    "商店里的乒乓球拍卖完了" * 9091,  # 100,001 characters
    "a\u0000b\ufeff\u200b",
]


pytestmark = pytest.mark.usefixtures("optimized_graphs")


@pytest.fixture(scope="module")
def model_dir():
    return os.path.join(fine_tuned()[0], "model")


@pytest.fixture(scope="module")
def models(model_dir, tmp_path_factory):
    """A directory of TensorFlow Serving with a checked version 3, and the report of the check."""
    directory = tmp_path_factory.mktemp("export")
    examples = [{"text": r["sentence"], "label": r["label"]} for r in RECORDS] + [{"text": text} for text in TEXTS]
    lines = "".join(json.dumps(example) + "\n" for example in examples)
    # With the byte-order mark of some editors.
    (directory / "dev.jsonl").write_text(f"\ufeff{lines}", encoding="utf-8")
    (directory / "models" / "2").mkdir(parents=True)
    report = export(
        model_dir, str(directory / "models"), version=3, check=True, check_file=str(directory / "dev.jsonl")
    )
    return directory / "models", report


@pytest.fixture(scope="module")
def exported(models):
    return str(models[0] / "3")


def predictions(model_dir, directory, inference):
    """Returns the probabilities and labels that --do_predict writes for `TEXTS`."""
    write_json_lines(directory / "test.json", [{"sentence": text} for text in TEXTS])
    settings = ClassificationSettings(
        task_name="sentence", data_dir=str(directory), init_checkpoint=model_dir, output_dir=str(directory / "out"),
        do_predict=True, inference=inference,
    )  # fmt: skip
    run_fine_tuning(settings)
    content = json.loads((directory / "out" / "predictions.json").read_text(encoding="utf-8"))
    return {
        "probabilities": [list(item["probabilities"].values()) for item in content],
        "label": [item["label"] for item in content],
    }


@pytest.fixture(scope="module")
def predicted(model_dir, tmp_path_factory):
    return predictions(model_dir, tmp_path_factory.mktemp("predictions"), "joint")


def test_a_keras_classifier_predicts_the_same_and_continues_in_fit(model_dir, predicted, tmp_path):
    preset = str(tmp_path / "preset")
    convert_checkpoint(
        ConversionSettings(from_format="ambert", input=model_dir, to_format="keras_hub", output=preset)
    )
    classifier = keras_hub.models.TextClassifier.from_preset(preset, activation="softmax")
    np.testing.assert_allclose(classifier.predict(TEXTS, verbose=0), predicted["probabilities"], atol=1e-5)
    texts = [record["sentence"] for record in RECORDS]
    labels = [classifier.labels.index(record["label"]) for record in RECORDS]
    classifier.compile(keras.optimizers.Adam(1e-3))
    history = classifier.fit(texts, labels, epochs=4, verbose=0).history
    assert history["sparse_categorical_accuracy"][0] == 1.0  # run_classifier.py has learnt the records
    assert history["loss"][3] < history["loss"][0]


def test_the_fine_export_predicts_the_same_and_has_no_coarse_tables(model_dir, exported, tmp_path):
    export(model_dir, str(tmp_path / "fine"), "fine")
    fine, joint = (tf.saved_model.load(name) for name in (str(tmp_path / "fine"), exported))
    found = fine.signatures["serving_default"](text=tf.constant(TEXTS))
    expected = predictions(model_dir, tmp_path, "fine")
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    coarse_table = (config["coarse_vocab_size"], config["hidden_size"])
    assert coarse_table in {tuple(variable.shape) for variable in joint.model_variables}
    assert coarse_table not in {tuple(variable.shape) for variable in fine.model_variables}


def test_predicts_the_same_in_batches_of_any_size(exported, predicted):
    """The check of `models` asks another process, without this package, and compares its answers to the same texts."""
    signature = tf.saved_model.load(exported).signatures["serving_default"]
    together = signature(text=tf.constant(TEXTS))
    assert together["probabilities"].shape == (len(TEXTS), 4)
    assert together["probabilities"].dtype == tf.float32
    np.testing.assert_allclose(together["probabilities"], predicted["probabilities"], atol=1e-5)
    assert [label.decode() for label in together["label"].numpy()] == predicted["label"]
    for index in (0, 5):
        alone = signature(text=tf.constant(TEXTS[index : index + 1]))
        np.testing.assert_allclose(alone["probabilities"][0], together["probabilities"][index], atol=1e-6)
    nothing = signature(text=tf.constant([], tf.string))
    assert nothing["probabilities"].shape == (0, 4)
    assert nothing["label"].shape == (0,)


def test_ten_megabytes_of_text_are_truncated(exported):
    signature = tf.saved_model.load(exported).signatures["serving_default"]
    text = "商店里的乒乓球拍卖完了"
    long, cut = (signature(text=tf.constant([text * times]))["probabilities"] for times in (320_000, 100))
    np.testing.assert_allclose(long, cut, atol=1e-6)


def test_invalid_utf8_gives_probabilities(exported):
    signature = tf.saved_model.load(exported).signatures["serving_default"]
    result = signature(text=tf.constant([b"\xff\xfe\x80", b"\xe4\xb8", b"\x00"]))
    np.testing.assert_allclose(tf.reduce_sum(result["probabilities"], axis=1), 1, atol=1e-5)


def test_wrong_directories(model_dir, exported, tmp_path):
    with pytest.raises(InputError, match="--export_dir is needed"):
        export(model_dir, "")
    with pytest.raises(InputError, match="exists; choose another directory, or replace it with --overwrite"):
        export(model_dir, exported)
    with pytest.raises(InputError, match=r"--model_dir=.*none: no such directory"):
        export(str(tmp_path / "none"), str(tmp_path / "new"))
    with pytest.raises(InputError, match="not a model directory"):
        export(str(tmp_path), str(tmp_path / "new"))
    with pytest.raises(InputError, match=r"--export_dir=.*e\[1\]: TensorFlow cannot read"):
        export(model_dir, str(tmp_path / "e[1]"))
    assert os.listdir(tmp_path) == []


def test_the_directory_of_tensorflow_serving(model_dir, models):
    directory = models[0] / "3"
    records = tf.data.TFRecordDataset(str(directory / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    signature = tf.saved_model.load(str(directory)).signatures["serving_default"]
    for log, size in zip(logs, (1, 8, 32), strict=True):
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("models", "serving_default")
        text = tf.constant(tf.make_ndarray(request.inputs["text"]))
        assert signature(text=text)["probabilities"].shape == (size, 4)
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert "# sentence: ambert, joint" in card
    assert "| accuracy | 1 |" in card
    assert "| `serving_default` | `text` | `probabilities`" in card
    assert "http://localhost:8501/v1/models/models:predict" in card
    assert sorted(os.listdir(models[0])) == ["2", "3"]
    with pytest.raises(InputError, match="choose another --version"):
        export(model_dir, str(models[0]), version=3)


def test_the_check_reads_a_file(model_dir, models, tmp_path):
    report = models[1]
    assert (report.examples, report.accuracy) == (16 + len(TEXTS), 1.0)
    assert report.difference <= 1e-5
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match=r"blank\.txt: has only blank lines"):
        export(model_dir, str(tmp_path / "e"), check_file=str(tmp_path / "blank.txt"))
    (tmp_path / "wrong.jsonl").write_text('{"text": "a"}\n{"sentence": "b"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"wrong\.jsonl, line 2: a JSON object with text is expected"):
        export(model_dir, str(tmp_path / "e"), check_file=str(tmp_path / "wrong.jsonl"))


def test_missing_heads_are_errors(tmp_path):
    for model_type, message in (("ambert_hybrid", "cannot run on one grain"), ("bert_coarse", "has no fine grain")):
        with pytest.raises(InputError, match=message):
            export(model_directory("sentence", model_type), str(tmp_path / "e"), "fine")


def test_an_export_that_exists_is_replaced_on_request(model_dir, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    with pytest.raises(InputError, match="is not a SavedModel; --overwrite only replaces SavedModels"):
        export(model_dir, str(tmp_path / "old"), overwrite=True)
    for directory in (model_dir, os.path.dirname(model_dir)):
        with pytest.raises(InputError, match="contains the model of --model_dir"):
            export(model_dir, directory, overwrite=True)
    (tmp_path / "old" / "saved_model.pb").touch()
    export(model_dir, str(tmp_path / "old"), overwrite=True)
    assert os.path.exists(tmp_path / "old" / "saved_model.pb")
    assert not os.path.exists(tmp_path / "old" / "file")


def test_a_directory_that_cannot_be_written(model_dir, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file where a directory is needed"):
        export(model_dir, tmp_path / "file" / "export")


def test_remote_directories():
    remote = "ram://export-test/model"
    copy_directory(model_directory("sentence"), remote)
    export(remote, "ram://export-test/exports", version=1)
    texts = ["中国人民的生活", ""]
    found = ambert_tf.load("ram://export-test/exports/1").predict(texts)
    assert [row["label"] for row in found] == [row["label"] for row in ambert_tf.load(remote).predict(texts)]
    with tf.io.gfile.GFile("ram://export-test/exports/1/README.md") as file:
        assert file.readline() == "# sentence: ambert, joint\n"
