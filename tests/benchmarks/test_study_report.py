import pytest

from ambert_tf.tasks.registry import TASKS
from benchmarks.study_report import (
    Pretraining,
    Score,
    difference_table,
    interval,
    line_look,
    orderings,
    paired_difference,
    pretraining_table,
    published_score,
    score_table,
    write_report,
)

# Accuracies of two models on TNEWS in points, by seed. BERT lacks AMBERT's third seed.
BERT = {1: 50.0, 2: 52.0}
AMBERT = {1: 53.0, 2: 54.0, 3: 90.0}


def scores_of(task, labels, **models):
    return [
        Score(task, "accuracy", labels, seed, model, points / 100)
        for model, by_seed in models.items()
        for seed, points in by_seed.items()
    ]


def test_the_interval_is_students_t_by_hand():
    mean, half_width = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    # 4.3027 is the 97.5 % point of t with 2 degrees of freedom, 1 the standard deviation.
    assert half_width == pytest.approx(4.3027 / 3**0.5, abs=1e-4)


def test_a_single_seed_has_no_interval():
    assert str(interval([71.25])) == "71.2"


def test_differences_are_paired_over_the_seeds_that_both_models_have():
    difference = paired_difference(AMBERT, BERT)
    assert difference is not None
    assert difference.mean == pytest.approx(2.5)
    # The differences are 3 and 2: standard deviation 0.7071, t with 1 degree of freedom 12.706.
    assert difference.half_width == pytest.approx(12.706 * 0.70711 / 2**0.5, abs=1e-3)
    assert paired_difference(AMBERT, {}) is None


def test_the_table_has_means_paired_differences_and_the_papers_scores():
    scores = scores_of("tnews", 100, bert_fine=BERT, ambert={1: 53.0, 2: 54.0}) + scores_of("tnews", 0, bert_fine=BERT)
    assert score_table(scores) == [
        "| task | metric | model | 100 labels | all labels | published |",
        "|---|---|---|---|---|---|",
        "| tnews | accuracy | bert_fine | 51.0 ± 12.7 | 51.0 ± 12.7 | 67.48 (test) |",
        "| tnews | accuracy | ambert | 53.5 ± 6.4 |  | 68.58 (test) |",
    ]


def test_differences_from_each_reference():
    scores = scores_of("tnews", 0, bert_fine=BERT, bert_coarse={1: 54.0}, ambert=AMBERT)
    # The differences from bert_fine are 3 and 2 points; 12.7062 is the 97.5 % point of t with 1 degree of freedom, and
    # 0.5 the standard error.
    assert difference_table(scores, ["bert_fine", "bert_coarse"]) == [
        "| task | labels | model | minus bert_fine | minus bert_coarse |",
        "|---|---|---|---|---|",
        "| tnews | all | bert_fine |  | -4.0 |",
        "| tnews | all | bert_coarse | +4.0 |  |",
        "| tnews | all | ambert | +2.5 ± 6.4 | -1.0 |",
    ]


def test_orderings_of_ours_and_of_the_paper():
    scores = scores_of("tnews", 500, bert_fine=BERT, ambert=AMBERT, bert_coarse={1: 40.0})
    assert orderings(scores) == [
        "- tnews, 500 labels: ambert > bert_fine > bert_coarse",
        "- tnews, the paper (test accuracy, base models): "
        "ambert_combo > ambert_hybrid > ambert > bert_coarse > bert_fine",
    ]


@pytest.mark.parametrize(
    ("task", "figures", "described"),
    [
        ("mrpc", ("84.8", "86.1"), "test accuracy"),  # of "F1/accuracy"
        ("qqp", ("89.0", "89.4"), "test accuracy"),
        ("squad1", ("90.6", "90.8"), "dev F1"),  # of "EM/F1"
        ("cmrc2018", ("85.64", "87.29"), "dev F1"),  # of "F1/EM"
        ("mnli", ("85.0", "86.3"), "test accuracy"),  # of the matched and the mismatched set
        ("stsb", ("84.3", "84.7"), "test Pearson"),
        ("cola", ("53.7", "54.3"), "test Matthews"),
    ],
)
def test_the_papers_figure_is_of_the_metric_that_we_report(task, figures, described):
    found = [published_score(task, model, TASKS[task].metrics[0]) for model in ("bert_fine", "ambert")]
    assert tuple(each.figure for each in found) == figures
    assert {f"{each.set_name} {each.metric}" for each in found} == {described}


def test_nothing_was_published_for_other_tasks_models_and_metrics():
    assert published_score("reviews", "ambert", "accuracy") is None
    assert published_score("tnews", "my model", "accuracy") is None
    assert published_score("tnews", "ambert", "f1") is None


def test_the_papers_order_on_qqp_is_that_of_accuracy():
    # By F1, the order is ambert 72.5, ambert_combo 71.8, bert_fine 71.6, ambert_hybrid 71.0, bert_coarse 70.1.
    assert orderings(scores_of("qqp", 0, ambert=AMBERT)) == [
        "- qqp, the paper (test accuracy, base models): ambert > ambert_hybrid > bert_fine > bert_coarse > ambert_combo"
    ]


def test_no_two_models_look_the_same_and_those_without_pretraining_are_not_solid():
    names = [f"model {index}" for index in range(30)]
    assert len({tuple(line_look(index, name).values()) for index, name in enumerate(names)}) == 30
    for name in ("ambert, from scratch", "tf-idf + logistic regression", "CRF over n-grams"):
        assert line_look(3, name)["linestyle"] == "--"
    assert line_look(3, "ambert")["linestyle"] == "-"


def test_compute_is_relative_to_bert_fine():
    held_out = {"fine_masked_lm_loss": 4.25, "fine_masked_lm_accuracy": 0.25}
    both = {**held_out, "coarse_masked_lm_loss": 5.0, "coarse_masked_lm_accuracy": 0.125}
    table = pretraining_table([
        Pretraining("bert_fine", "a", 1000, held_out, 2e12, 60.0), Pretraining("ambert", "b", 1000, both, 3.5e12, 90.0)
    ])  # fmt: skip
    assert table[2:] == [
        "| bert_fine | 1,000 | 2 | 1.00 | 1.0 | 4.250 |  | 0.250 |  |",
        "| ambert | 1,000 | 3.5 | 1.75 | 1.5 | 4.250 | 5.000 | 0.250 | 0.125 |",
    ]


def test_the_report_is_a_page_with_a_figure_and_a_table_for_programs(tmp_path):
    scores = scores_of("tnews", 100, bert_fine=BERT, ambert=AMBERT)
    write_report(str(tmp_path), "two cores", [], scores, ["bert_fine"])
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# Study\n\nMachine: two cores.\n\n## Fine-tuning\n")
    assert "| tnews | 100 | ambert | +2.5 ± 6.4 |" in report
    assert (tmp_path / "scores.tsv").read_text(encoding="utf-8").splitlines()[:2] == [
        "task\tmetric\tlabels\tseed\tmodel\tvalue", "tnews\taccuracy\t100\t1\tbert_fine\t0.5",
    ]  # fmt: skip
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
