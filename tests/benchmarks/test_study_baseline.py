import json

import pytest

from ambert_tf.tasks.registry import TASKS


@pytest.fixture
def baseline(script, tmp_path):
    module = script("study_baseline")
    module.FLAGS.data_dir = str(tmp_path)
    return module


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_first_records_are_read_before_those_without_a_gold_label_are_left_out(baseline, tmp_path):
    labels = ["-", "neutral", "-", "entailment", "neutral"]
    write(tmp_path / "dev.json", *({"sentence1": f"a{n}", "sentence2": "b", "label": label}
                                   for n, label in enumerate(labels)))  # fmt: skip
    names = [label.name for label in TASKS["ocnli"].labels]
    found = baseline.examples_of(TASKS["ocnli"], "dev", "dev.json", names, 4)
    assert [each.inputs.text for each in found] == ["a1", "a3"]
    assert len(baseline.examples_of(TASKS["ocnli"], "dev", "dev.json", names, 0)) == 3


def test_labels_are_those_next_to_the_samples_or_else_of_all_samples(baseline, tmp_path):
    samples = [
        write(tmp_path / "samples" / f"{seed}.json", *({"sentence": "s", "label": label} for label in labels))
        for seed, labels in ((1, "ab"), (2, "bc"))
    ]
    baseline.FLAGS.train_files = samples
    assert baseline.label_names(TASKS["sentence"]) == ["a", "b", "c"]
    (tmp_path / "samples" / "labels.json").write_text('["a", "b", "c", "rare"]')
    assert baseline.label_names(TASKS["sentence"]) == ["a", "b", "c", "rare"]
