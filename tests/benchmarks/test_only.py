"""--only of tasks.py and run_all.py."""

import pytest

from ambert_tf.errors import InputError


def test_an_unknown_benchmark_is_found_before_the_first_one_runs(script, monkeypatch):
    run_all = script("run_all")
    run_all.FLAGS.only = ["segmentation", "segmentatoin"]
    monkeypatch.setattr(run_all.subprocess, "run", lambda *_, **__: pytest.fail("started a benchmark"))
    with pytest.raises(InputError, match=r"^--only=segmentatoin: unknown benchmark; the benchmarks are segmentation, "):
        run_all.main([])


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (["rte", "rtee"], r"^--only=rtee: unknown task; the tasks are tnews, "),
        (["rte", "mrpc"], r"^--only=mrpc: --data_dir=/data has no files of it; see benchmarks/places\.py$"),
    ],
)
def test_every_task_of_only_must_be_known_and_have_files(script, only, message):
    tasks = script("tasks")
    tasks.FLAGS.data_dir, tasks.FLAGS.only = "/data", only
    with pytest.raises(InputError, match=message):
        tasks.chosen([place for place in tasks.PLACES if place.task in ("rte", "cola")])


def test_only_chooses_among_the_tasks_that_have_files(script):
    tasks = script("tasks")
    tasks.FLAGS.data_dir = "/data"
    every = [place for place in tasks.PLACES if place.task in ("rte", "cola")]
    assert tasks.chosen(every) == every
    tasks.FLAGS.only = ["rte"]
    assert [place.task for place in tasks.chosen(every)] == ["rte"]
    tasks.FLAGS.only = []
    with pytest.raises(InputError, match=r"^--data_dir=/data: has none of the files listed in benchmarks/places\.py$"):
        tasks.chosen([])
