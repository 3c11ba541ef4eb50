import json
import os
import subprocess
import sys

import pytest

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path
from tests.small_models import small_config
from tests.tokenizers import chinese_tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def study(output_dir, *arguments):
    return subprocess.run(
        [sys.executable, "benchmarks/study.py", f"--output_dir={output_dir}", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def write_reviews(directory):
    """Writes a task whose label depends on one word, with different texts for training and development."""
    for split, count in (("train", 60), ("dev", 20)):
        rows = [
            {"sentence": f"{split} 商店{'很好' if n % 2 else '太差'} {n}", "label": str(n % 2)} for n in range(count)
        ]
        with atomic_path(str(directory / f"{split}.json")) as path, open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (directory / "labels.json").write_text('["0", "1"]', encoding="utf-8")


def test_a_study_runs_once_resumes_and_refuses_other_flags(tmp_path, monkeypatch):
    (tmp_path / "reviews").mkdir()
    write_reviews(tmp_path / "reviews")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(
        "中国人民的生活好。\n南京市长江大桥好。\n\n商店里的球拍卖完了。\n乒乓球拍卖完了。\n\n" * 60, encoding="utf-8"
    )
    tokenizer = chinese_tokenizer()
    tokenizer.save(str(tmp_path / "tokenizer"))
    sizes = {"vocab_size": tokenizer.fine_vocab_size, "coarse_vocab_size": tokenizer.coarse_vocab_size}
    config = small_config("ambert", num_hidden_layers=1, max_position_embeddings=128, **sizes)
    config.to_file(str(tmp_path / "config.json"))
    command = (
        tmp_path / "study", "--smoke", f"--input_file={corpus}", f"--task_dirs=reviews={tmp_path / 'reviews'}",
        "--labels=20,9000", "--models=ambert", "--scratch=", "--seeds=1", "--num_train_steps=1",
        f"--config={tmp_path / 'config.json'}",
        f"--tokenizer_dir={tmp_path / 'tokenizer'}", "--noembeddings",  # which need a larger corpus
    )  # fmt: skip
    first = study(*command)
    assert first.returncode == 0, first.stderr
    progress = (tmp_path / "study" / "progress.jsonl").read_text(encoding="utf-8")
    finished = dict.fromkeys(json.loads(line)["job"] for line in progress.splitlines())
    assert "reviews has 60 training examples; larger label budgets are left out" in first.stdout
    assert list(finished) == [
        "corpora", "train records", "held_out records", "pre-train ambert", "baseline on reviews, 20 labels, 1 seeds",
        "fine-tune ambert on reviews, 20 labels, seed 1",
    ]  # fmt: skip
    scores = (tmp_path / "study" / "scores.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[:5] for line in scores[1:]] == [
        ["reviews", "accuracy", "20", "1", "ambert"],
        ["reviews", "accuracy", "20", "1", "ambert, fine alone"],
        ["reviews", "accuracy", "20", "1", "tf-idf + logistic regression"],
    ]
    # The label depends on one word, so the baseline reaches 100 % accuracy.
    assert scores[3].split("\t")[5] == "1.0"
    samples = tmp_path / "study" / "data" / "samples" / "reviews"
    drawn = (samples / "reviews-20-1.json").read_text(encoding="utf-8").splitlines()
    train = (tmp_path / "reviews" / "train.json").read_text(encoding="utf-8").splitlines()
    assert len(set(drawn)) == 20
    assert set(drawn) < set(train)

    again = study(*command)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "study" / "progress.jsonl").read_text(encoding="utf-8") == progress

    monkeypatch.syspath_prepend(os.path.join(ROOT, "benchmarks"))
    from study_jobs import Jobs

    directory = str(tmp_path / "study")
    with pytest.raises(InputError, match="the job 'train records' has finished with other flags"):
        Jobs(directory).run("train records", ["data/create_pretraining_data.py", "--max_seq_length=512"])
    with pytest.raises(InputError, match="the job 'corpora' has finished with other flags"):
        Jobs(directory).make("corpora", ["--input_file=other.txt"], lambda: pytest.fail("not to be called"))
