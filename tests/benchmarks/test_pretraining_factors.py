import json
import os
import types

import pytest

from ambert_tf.errors import InputError

LOSSES = {"recipe": 5.0, "recipe_seed2": 5.2, "layers4": 4.6}


def flags_of(command):
    return dict(part.lstrip("-").split("=", 1) for part in command if part.startswith("--"))


@pytest.fixture
def factors(script, tmp_path, monkeypatch):
    """The module, with the data of tiny_zh.py, and a list of the commands that it would run."""
    module, study_jobs = script("pretraining_factors"), script("study_jobs")
    data = tmp_path / "data"
    for directory in ("tokenizer", "train_records", "held_out_records", "corpora/reviews"):
        (data / directory).mkdir(parents=True)
    for name in ("train_records/train.tfrecord", "held_out_records/held_out.tfrecord", "embeddings.npz"):
        (data / name).touch()
    (data / "corpora" / "train.txt").write_text("".join(f"文章{number}。\n\n" for number in range(8)), encoding="utf-8")
    for split in ("train", "dev"):
        rows = [{"sentence": str(number), "label": str(number % 2)} for number in range(4)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (data / "corpora" / "reviews" / f"{split}.json").write_text(lines, encoding="utf-8")
    (data / "tokenizer" / "fine_vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", encoding="utf-8")
    (data / "tokenizer" / "coarse_vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n好\n", encoding="utf-8")
    commands = []

    def run(command):
        commands.append(command[1:])
        output = flags_of(command).get("output_dir")
        if output:
            os.makedirs(output)
            loss = LOSSES.get(os.path.basename(output), 6.0)
            results = {"fine_masked_lm_loss": loss, "coarse_masked_lm_loss": loss + 0.5}
            with open(os.path.join(output, "eval_results.json"), "w", encoding="utf-8") as file:
                json.dump(results, file)
        return types.SimpleNamespace(wall_seconds=1.0, processor_seconds=90.0)

    monkeypatch.setattr(study_jobs, "run_command", run)
    module.FLAGS.output_dir, module.FLAGS.data_dir = str(tmp_path / "output"), str(data)
    return module, commands, tmp_path / "output"


def test_each_run_changes_one_thing(factors):
    module, commands, output = factors
    module.FLAGS.only = ["recipe", "mask30to15", "layers4", "wide", "text_half", "batch32"]
    module.main([])
    recipe, *others = (flags_of(command) for command in commands if command[0] == "run_pretraining.py")
    by_name = {os.path.basename(flags["output_dir"]): flags for flags in others}
    changed = {
        name: {key for key in flags if flags[key] != recipe.get(key)} - {"output_dir"}
        for name, flags in by_name.items()
    }
    steps = {"num_train_steps", "num_warmup_steps", "save_checkpoints_steps", "log_steps"}
    assert changed == {
        "mask30to15": {"masked_lm_prob", "final_masked_lm_prob"},
        "layers4": {"config"},
        "wide": {"config", "init_embeddings"},
        "text_half": {"input_file", "init_embeddings"},
        "batch32": {"train_batch_size", *steps},
    }
    assert by_name["batch32"]["num_train_steps"] == "750"
    configs = {name: json.loads((output / f"{name}.json").read_text()) for name in ("layers4", "wide")}
    assert [configs[name]["num_hidden_layers"] for name in configs] == [4, 2]
    assert (configs["wide"]["hidden_size"], configs["wide"]["intermediate_size"]) == (192, 768)
    assert (configs["wide"]["vocab_size"], configs["wide"]["coarse_vocab_size"]) == (5, 6)
    assert (output / "text0.5.txt").read_text(encoding="utf-8").split() == ["文章0。", "文章2。", "文章4。", "文章6。"]


def test_the_report_compares_with_the_mean_of_the_seeds(factors):
    module, commands, output = factors
    module.FLAGS.only = ["layers4", "recipe", "recipe_seed2"]
    module.main([])
    rows = (output / "factors.md").read_text(encoding="utf-8").splitlines()[4:]
    assert rows == [
        "| seeds | the recipe | 10.500 (5.000 + 5.500) | -0.200 | 1.5 |  |",
        "| seeds | the recipe, seed 2 | 10.900 (5.200 + 5.700) | +0.200 | 1.5 |  |",
        "| model | 4 layers | 9.700 (4.600 + 5.100) | -1.000 | 1.5 |  |",
    ]
    count = len(commands)
    module.main([])
    assert len(commands) == count


def test_an_unknown_run_and_missing_data_are_named(factors):
    module, _, _ = factors
    module.FLAGS.only = ["recipes"]
    with pytest.raises(InputError, match="--only=recipes: unknown run; the groups are seeds, masking"):
        module.main([])
    module.FLAGS.only = ["recipe"]
    os.remove(os.path.join(module.FLAGS.data_dir, "embeddings.npz"))
    with pytest.raises(InputError, match=r"--data_dir=.*: has no embeddings\.npz; run benchmarks/tiny_zh\.py"):
        module.main([])
