import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig
from ambert_tf.pretraining.pretraining import check_lengths, initial_config, run_pretraining
from ambert_tf.pretraining.pretraining_input import PretrainingInput, longest_lengths
from ambert_tf.pretraining.pretraining_objective import evaluation_results
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings
from ambert_tf.pretraining_data import records
from ambert_tf.pretraining_data.examples import encode_examples
from ambert_tf.training.checkpoints import Checkpoints, load_model_directory
from tests.small_models import masked_lm, small_config
from tests.tokenizers import english_tokenizer


def column(rows):
    return np.concatenate(rows).astype(np.int64), np.cumsum([0, *map(len, rows)])


def write_records(path, count, seed, vocabularies, next_sentence=False, masked=True):
    """Writes sequences in which each token is the previous one plus one, so that masked tokens are predictable."""
    random = np.random.default_rng(seed)
    batch = {name: [] for name in ("fine_to_coarse",)}
    for grain, vocab in vocabularies.items():
        rows, positions, ids = [], [], []
        for _ in range(count):
            length = int(random.integers(5, 9))
            tokens = 5 + (random.integers(0, 10) + np.arange(length)) % 10
            if grain == "coarse":
                tokens = tokens + vocab - 20
            row = np.array([2, *tokens, 3])
            position = int(random.integers(1, length + 1))
            positions.append(np.array([position]))
            ids.append(row[[position]])
            if masked:
                row[position] = 4
            rows.append(row)
        batch[f"{grain}_input_ids"] = column(rows)
        batch[f"{grain}_segment_ids"] = column([np.zeros(len(row)) for row in rows])
        if masked:
            batch[f"{grain}_masked_lm_positions"] = column(positions)
            batch[f"{grain}_masked_lm_ids"] = column(ids)
        if grain == "fine":
            batch["fine_to_coarse"] = column([np.zeros(len(row)) for row in rows])
    if next_sentence:
        batch["next_sentence_label"] = column([np.array([number % 2]) for number in range(count)])
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in encode_examples(batch):
            writer.write(record)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tokenizer, records and a configuration for runs."""
    directory = tmp_path_factory.mktemp("pretraining")
    tokenizer = english_tokenizer()
    sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.coarse_vocab_size}
    (directory / "records").mkdir()
    tokenizer.save(str(directory / "records" / "tokenizer"))
    for name, count, seed in (("train-0", 40, 0), ("train-1", 25, 1), ("dev", 21, 2)):
        write_records(directory / "records" / name, count, seed, sizes)
    stats = {"tokenizer_fingerprint": tokenizer.fingerprint, "max_seq_length": 12}
    (directory / "records" / "stats.json").write_text(json.dumps(stats))
    config = small_config(
        vocab_size=sizes["fine"], coarse_vocab_size=sizes["coarse"], num_hidden_layers=1, hidden_dropout_prob=0.1
    )
    config.to_file(str(directory / "config.json"))
    # For tests that do not depend on the grains, because a graph of one grain is traced in half the time.
    dataclasses.replace(config, model_type="bert_fine").to_file(str(directory / "bert_fine.json"))
    return directory


def settings(made, output_dir, **changes):
    values = {
        "input_file": str(made / "records" / "train-*"),
        "tokenizer_dir": str(made / "records" / "tokenizer"),
        "config": str(made / "config.json"),
        "output_dir": str(output_dir),
        "train_batch_size": 16,
        "eval_batch_size": 8,
        "num_train_steps": 6,
        "learning_rate": 1e-2,
        "num_warmup_steps": 1,
        "save_checkpoints_steps": 4,
        "log_steps": 2,
    }
    return PretrainingSettings(**{**values, **changes})


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory):
    """A run of 40 steps, with the tokenizer next to the records, and its held-out results."""
    directory = tmp_path_factory.mktemp("runs") / "trained"
    changes = {
        "tokenizer_dir": None,
        "num_train_steps": 40,
        "save_checkpoints_steps": 30,
        "eval_input_file": str(made / "records" / "dev"),
    }
    return directory, run_pretraining(settings(made, directory, **changes))


def test_a_run_writes_a_model_directory(made, trained):
    directory, _ = trained
    loaded = load_model_directory(str(directory))
    assert loaded.config == ModelConfig.from_file(str(made / "config.json"))
    assert loaded.checkpoint.endswith("ckpt-40")
    assert (directory / "tokenizer" / "tokenizer.json").exists()
    assert list((directory / "tensorboard").iterdir())


def test_metrics_have_losses_of_both_grains_and_speeds(trained):
    training = [line for line in lines(trained[0]) if "loss" in line]
    assert [line["step"] for line in training] == list(range(2, 41, 2))
    assert set(training[-1]) - {"mfu"} == {
        "step", "loss", "fine_masked_lm_loss", "coarse_masked_lm_loss", "fine_masked_lm_accuracy",
        "coarse_masked_lm_accuracy", "learning_rate", "gradient_norm", "sequences_per_second", "tokens_per_second",
        "model_flops_per_second",
    }  # fmt: skip
    assert training[-1]["loss"] < training[0]["loss"]


def test_held_out_results_are_in_files_and_metrics(trained):
    directory, results = trained
    written = json.loads((directory / "eval_results.json").read_text())
    assert written == {"step": 40, **results}
    assert written["sequences"] == 21
    text = dict(line.split(" = ") for line in (directory / "eval_results.txt").read_text().splitlines())
    assert float(text["coarse_masked_lm_loss"]) == written["coarse_masked_lm_loss"]
    evaluated = [line for line in lines(directory) if "eval_loss" in line]
    assert [line["step"] for line in evaluated] == [30, 40]
    assert evaluated[-1]["eval_fine_masked_lm_accuracy"] == written["fine_masked_lm_accuracy"]


def test_held_out_results_include_the_majority_baseline():
    sums = {
        "fine_loss": np.array(12.0), "fine_right": np.array(3.0), "fine_counts": np.array([0, 4, 2, 0]),
        "sequences": np.array(2),
    }  # fmt: skip
    assert evaluation_results(sums, ("fine",)) == {
        "fine_masked_lm_loss": 2.0, "fine_masked_lm_accuracy": 0.5, "fine_most_frequent_accuracy": 4 / 6,
        "fine_predictions": 6, "loss": 2.0, "sequences": 2,
    }  # fmt: skip


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(made, tmp_path):
    def weights(directory):
        reader = tf.train.load_checkpoint(load_model_directory(str(directory)).checkpoint)
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    whole = settings(made, tmp_path / "whole", num_train_steps=6, shuffle_buffer=7)
    run_pretraining(whole)
    # A kill during step 6 leaves the checkpoint of step 4 and later lines of metrics.
    killed = shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    for path in (killed / "checkpoints").glob("ckpt-6*"):
        path.unlink()
    state = killed / "checkpoints" / "checkpoint"
    state.write_text('model_checkpoint_path: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-4"\n')
    run_pretraining(settings(made, killed, num_train_steps=6, shuffle_buffer=7))
    expected, found = weights(tmp_path / "whole"), weights(killed)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert [(line["step"], line["loss"]) for line in lines(killed)] == [
        (line["step"], line["loss"]) for line in lines(tmp_path / "whole")
    ]


def test_next_sentence_records_dynamic_masks_and_an_initial_checkpoint(made, trained, tmp_path):
    tokenizer = english_tokenizer()
    sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.fine_vocab_size}
    records = tmp_path / "records"
    write_records(records, 20, 0, sizes, next_sentence=True, masked=False)
    run_pretraining(
        settings(
            made,
            tmp_path / "run",
            input_file=str(records),
            eval_input_file=str(records),
            init_checkpoint=str(trained[0]),
            max_seq_length=12,
            num_train_steps=2,
        )
    )
    (line,) = [line for line in lines(tmp_path / "run") if "loss" in line]
    parts = line["fine_masked_lm_loss"] + line["coarse_masked_lm_loss"] + line["next_sentence_loss"]
    assert line["loss"] == pytest.approx(parts)
    results = json.loads((tmp_path / "run" / "eval_results.json").read_text())
    assert 0 <= results["next_sentence_accuracy"] <= 1
    assert results["sequences"] == 20


def test_dynamic_masking_is_that_of_the_records_unless_a_flag_overrides_it(made, tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    tokenizer = english_tokenizer()
    sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.coarse_vocab_size}
    files = [str(tmp_path / "train")]
    write_records(files[0], 32, 0, sizes, masked=False)
    recorded = {"masked_lm_prob": 0.5, "max_predictions_per_seq": 4}
    stats = {"records/stats.json": {"arguments": recorded}}
    longest = {"max_seq_length": 12}  # held-out records may be longer than those for training

    def predictions(step=0, **changes):
        data = PretrainingInput(settings(made, tmp_path, **changes), tokenizer, stats, longest, masked=False)
        batch = next(iter(data.training(files, step, tf.distribute.InputContext())))
        return batch["coarse_masked_lm_weights"].numpy().sum(1), batch["coarse_input_ids"].shape[0]

    # Sequences have 5 to 8 tokens, so half of them are 2 to 4.
    assert set(predictions()[0]) == {2, 3, 4}
    assert "dynamic masking of 0.5 of the coarse tokens, at most 4 per sequence" in caplog.text
    assert set(predictions(max_predictions_per_seq=2)[0]) == {2}
    assert set(predictions(masked_lm_prob=0.1, max_seq_length=10)[0]) == {1}
    # The probability is 0.5 in the first of 6 steps, 0.1 in the last, and 0.26 in between.
    assert set(predictions(final_masked_lm_prob=0.1)[0]) == {2, 3, 4}
    assert set(predictions(3, final_masked_lm_prob=0.1)[0]) == {1, 2}
    assert set(predictions(5, final_masked_lm_prob=0.1)[0]) == {1}
    # The coarse grain may have a limit of its own. The flag limits both grains.
    recorded["max_coarse_predictions_per_seq"] = 1
    assert set(predictions()[0]) == {1}
    assert set(predictions(max_predictions_per_seq=2)[0]) == {2}
    with pytest.raises(InputError, match=r"--final_masked_lm_prob: the records of .* have static masks; create them"):
        changed = settings(made, tmp_path, final_masked_lm_prob=0.1)
        PretrainingInput(changed, tokenizer, {}, {}, masked=True)
    stats["others/stats.json"] = {"arguments": {**recorded, "masked_lm_prob": 0.2}}
    message = r"different masked_lm_prob: 0\.5 \(records/stats\.json\) and 0\.2 \(others/stats\.json\); choose one"
    with pytest.raises(InputError, match=message):
        predictions()
    assert set(predictions(masked_lm_prob=0.1)[0]) == {1}


def test_held_out_records_may_have_static_masks(made, tmp_path):
    tokenizer = english_tokenizer()
    sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.coarse_vocab_size}
    write_records(tmp_path / "unmasked", 20, 0, sizes, masked=False)
    held_out = str(made / "records" / "dev")
    changes = {"input_file": str(tmp_path / "unmasked"), "num_train_steps": 1, "max_seq_length": 12}
    results = run_pretraining(settings(made, tmp_path / "run", eval_input_file=held_out, **changes))
    assert results["fine_predictions"] == 21
    write_records(tmp_path / "pairs", 20, 0, sizes, next_sentence=True)
    with pytest.raises(InputError, match=r"--eval_input_file=.*pairs: next sentence labels must be in both"):
        run_pretraining(settings(made, tmp_path / "run", eval_input_file=str(tmp_path / "pairs"), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_file": ""}, "--input_file is needed"),
        ({"input_file": "nowhere/*"}, r"--input_file=nowhere/\*: no file matches"),
        ({"num_train_steps": 0}, "--num_train_steps=0: must be at least 1"),
        ({"num_warmup_steps": 7}, "--num_warmup_steps=7: must be from 0 to --num_train_steps=6"),
        ({"learning_rate": 0.0}, r"--learning_rate=0\.0: must be above 0"),
        ({"max_seq_length": 7}, "--max_seq_length=7: must be at least 8"),
        ({"max_seq_length": 11}, "--max_seq_length=11: the records were created with --max_seq_length=12, and are not"),
        ({"masked_lm_prob": 15.0}, r"--masked_lm_prob=15\.0: must be between 0 and 1"),
        ({"max_predictions_per_seq": 0}, "--max_predictions_per_seq=0: must be at least 1"),
        ({"use_fp16": True, "use_bf16": True}, "--use_fp16 and --use_bf16"),
        ({"train_batch_size": 15, "num_replicas": 2}, "--train_batch_size=15: must be a multiple of 2"),
        ({"config": "huge"}, "--config=huge: is neither a file nor one of the presets tiny"),
        ({"init_checkpoint": "nowhere"}, "--init_checkpoint=nowhere: no such checkpoint"),
    ],
)
def test_bad_settings_are_named(made, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        run_pretraining(settings(made, tmp_path / "run", **changes))


def test_a_name_that_tensorflow_cannot_read_is_refused(made, tmp_path):
    with pytest.raises(InputError, match=r"--output_dir=.*p \[1\]: TensorFlow cannot read checkpoints under a name"):
        run_pretraining(settings(made, tmp_path / "p [1]"))
    assert not (tmp_path / "p [1]").exists()


def test_a_configuration_for_another_vocabulary_is_refused(made, tmp_path):
    path = tmp_path / "config.json"
    small_config(vocab_size=60).to_file(str(path))
    with pytest.raises(InputError, match=r"vocab_size is 60, but the fine vocabulary of --tokenizer_dir=.* has \d+"):
        run_pretraining(settings(made, tmp_path / "run", config=str(path)))
    assert not (tmp_path / "run").exists()


def test_defaults_are_those_of_the_shortest_command():
    defaults = PretrainingSettings(input_file="records/part-*")
    assert (defaults.output_dir, defaults.tokenizer_dir) == ("pretrained", None)
    config = initial_config(defaults, english_tokenizer(), "tokenizer")
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == ("ambert", 12, 768)


def test_records_without_a_copy_of_the_tokenizer_need_the_flag(made, tmp_path):
    shutil.copy(made / "records" / "train-0", tmp_path / "train")
    with pytest.raises(InputError, match="--tokenizer_dir is needed: there is no tokenizer/ next to the records"):
        run_pretraining(settings(made, tmp_path / "run", input_file=str(tmp_path / "train"), tokenizer_dir=None))


def test_records_of_another_tokenizer_are_refused(made, tmp_path):
    shutil.copytree(made / "records", tmp_path / "records")
    (tmp_path / "records" / "stats.json").write_text('{"tokenizer_fingerprint": "abc"}')
    with pytest.raises(InputError, match="created with another tokenizer"):
        run_pretraining(settings(made, tmp_path / "run", input_file=str(tmp_path / "records" / "train-*")))


def test_an_initial_model_with_another_tokenizer_is_refused(trained):
    """Even if its vocabularies have the same sizes: its embeddings are those of other tokens."""
    tokenizer, other = english_tokenizer(), english_tokenizer(do_lower_case=False)
    assert (tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size) == (other.fine_vocab_size, other.coarse_vocab_size)
    chosen = PretrainingSettings(input_file="records/part-*", init_checkpoint=str(trained[0]))
    assert initial_config(chosen, tokenizer, "tokenizer").vocab_size == tokenizer.fine_vocab_size
    message = r"was trained with another tokenizer .*; create the records with --tokenizer"
    with pytest.raises(InputError, match=message):
        initial_config(chosen, other, "tokenizer")
    # The same for one of its checkpoints, whose configuration is next to it.
    chosen = dataclasses.replace(chosen, init_checkpoint=str(trained[0] / "checkpoints" / "ckpt-30"))
    assert initial_config(chosen, tokenizer, "tokenizer").num_hidden_layers == 1
    with pytest.raises(InputError, match=message):
        initial_config(chosen, other, "tokenizer")


def test_a_run_that_failed_before_its_first_checkpoint_leaves_the_directory_free(made, trained, tmp_path):
    run = settings(made, tmp_path / "run", init_checkpoint=str(trained[0]), num_train_steps=1)
    small_config(**{**ModelConfig.from_file(run.config).to_dict(), "hidden_size": 8}).to_file(str(tmp_path / "other"))
    with pytest.raises(InputError, match="has shape"):
        run_pretraining(dataclasses.replace(run, config=str(tmp_path / "other")))
    run_pretraining(dataclasses.replace(run, config=str(made / "bert_fine.json")))
    assert load_model_directory(str(tmp_path / "run")).config.hidden_size == 16


def test_a_loss_that_is_not_finite_is_reported_with_its_records(made, tmp_path):
    changes = {
        "config": str(made / "bert_fine.json"),
        "num_train_steps": 3,
        "train_batch_size": 4,
        "num_replicas": 2,
        "shuffle_buffer": 0,
        "group_by_length": 1,
    }
    with pytest.raises(InputError) as found:
        run_pretraining(settings(made, tmp_path / "run", learning_rate=1e38, num_warmup_steps=0, **changes))
    step = int(re.match(r"step (\d+): ", str(found.value)).group(1))
    numbers = ", ".join(str(number) for number in range(4 * (step - 1), 4 * step))
    assert f"not a finite number; its batch: {made}/records/train-0 records {numbers};" in str(found.value)


def test_a_truncated_file_of_records_is_named(made, tmp_path):
    content = (made / "records" / "train-0").read_bytes()
    (tmp_path / "train").write_bytes(content[: len(content) - 10])
    with pytest.raises(InputError, match=r"train: record 39 is damaged or truncated"):
        run_pretraining(
            settings(
                made, tmp_path / "run", input_file=str(tmp_path / "train"), config=str(made / "bert_fine.json")
            )
        )


def test_a_file_truncated_between_records_is_recognized_by_its_size(made, tmp_path):
    shutil.copytree(made / "records", tmp_path / "records")
    (tmp_path / "records" / "stats.json").write_text('{"files": {"train-0": 99}}')
    with pytest.raises(InputError, match=r"train-0: has \d+ bytes, but 99 according to stats.json in"):
        run_pretraining(settings(made, tmp_path / "run", input_file=str(tmp_path / "records" / "train-*")))


def test_the_longest_records_of_several_directories_count():
    stats = {"a": {"max_seq_length": 128, "max_coarse_seq_length": 128}, "b": {"max_seq_length": 256}, "c": {}}
    assert longest_lengths(stats) == {"max_seq_length": 256, "max_coarse_seq_length": 128}


def test_records_longer_than_the_position_embeddings_are_refused():
    fine, both = (small_config(kind, max_position_embeddings=64) for kind in ("bert_fine", "ambert"))
    lengths = {"max_seq_length": 64, "max_coarse_seq_length": 65}
    check_lengths(lengths, fine)
    with pytest.raises(InputError, match="created with --max_coarse_seq_length=65, but the model has only 64 position"):
        check_lengths(lengths, both)


def test_ids_beyond_the_vocabulary_are_reported(made, tmp_path, monkeypatch):
    # Reading all records to look for damage takes hours if there are many.
    monkeypatch.setattr(records, "find_damaged_record", lambda files: pytest.fail("looks for damaged records"))
    tokenizer = english_tokenizer()
    sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.coarse_vocab_size + 1000}
    write_records(tmp_path / "train", 20, 0, sizes)
    with pytest.raises(InputError, match="a record does not match the model"):
        run_pretraining(settings(made, tmp_path / "run", input_file=str(tmp_path / "train")))


def test_a_masked_lm_head_that_does_not_match_causes_a_warning(made, trained, tmp_path, caplog):
    """A checkpoint with a random head, as in some published ones. Its first loss is far above ln V."""
    noise = shutil.copytree(trained[0], tmp_path / "noise")
    model = masked_lm(ModelConfig.from_file(str(made / "config.json")))
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.startswith("masked_lm_head/transform/kernel"):
            variable.assign(random.normal(size=variable.shape))
        if "token_embeddings" in variable.path:
            variable.assign(random.normal(size=variable.shape))
    Checkpoints(str(noise), model, {}).save(50)
    changes = {"init_checkpoint": str(noise), "num_train_steps": 1, "config": str(made / "bert_fine.json")}
    run_pretraining(settings(made, tmp_path / "with", **changes))
    uniform = f"{np.log(english_tokenizer().fine_vocab_size):.1f}"
    assert re.search(rf"fine masked LM loss is [\d.]+, but that of a uniform prediction is {uniform}: ", caplog.text)
    assert "--init_heads=false" in caplog.text
    caplog.clear()
    run_pretraining(settings(made, tmp_path / "without", init_heads=False, **changes))
    read = [tf.train.load_checkpoint(f"{tmp_path}/{name}/checkpoints/ckpt-1") for name in ("with", "without")]
    kernel = "model/masked_lm_head.Stransform.Skernel/.ATTRIBUTES/VARIABLE_VALUE"
    assert [np.abs(reader.get_tensor(kernel)).max() > 1 for reader in read] == [True, False]
    assert "uniform" not in caplog.text


def test_records_tokenizer_and_model_directory_may_be_remote(made):
    tf.io.gfile.makedirs("ram://records/tokenizer")
    for path in (made / "records").rglob("*"):
        if path.is_file():
            tf.io.gfile.copy(str(path), f"ram://records/{path.relative_to(made / 'records')}")
    files = {
        "input_file": "ram://records/train-*", "eval_input_file": "ram://records/dev", "tokenizer_dir": None,
        "config": str(made / "bert_fine.json"),
    }  # fmt: skip
    for steps in (1, 2):
        results = run_pretraining(settings(made, "ram://models/run", num_train_steps=steps, **files))
    assert json.loads(tf.io.gfile.GFile("ram://models/run/eval_results.json").read()) == {"step": 2, **results}
    written = tf.io.gfile.GFile("ram://models/run/metrics.jsonl").read().splitlines()
    assert [json.loads(line)["step"] for line in written] == [1, 1, 2, 2]
    assert load_model_directory("ram://models/run").checkpoint == "ram://models/run/checkpoints/ckpt-2"
