
import pytest

from ambert_tf.errors import InputError


class Interrupted(Exception):
    """Stands for an interrupt."""


@pytest.fixture
def jobs(script, tmp_path, monkeypatch):
    """Returns a function that runs a job of a new process, which is interrupted after it has created its output."""
    study_jobs = script("study_jobs")
    output = tmp_path / "output"

    def interrupted(command):
        output.mkdir(exist_ok=True)
        raise Interrupted

    monkeypatch.setattr(study_jobs, "run_command", interrupted)
    return lambda *flags: study_jobs.Jobs(str(tmp_path)).run(
        "pre-train", ["run.py", f"--output_dir={output}", *flags], resumes=str(output)
    )


def test_an_interrupted_job_resumes_with_the_same_flags_only(jobs, tmp_path):
    for _ in range(2):
        with pytest.raises(Interrupted):
            jobs("--learning_rate=1")
    message = r"the job 'pre-train' was started with other flags, run\.py --output_dir=OUTPUT_DIR/output --learning_r"
    with pytest.raises(InputError, match=message):
        jobs("--learning_rate=2")
    (tmp_path / "output").rmdir()
    with pytest.raises(Interrupted):
        jobs("--learning_rate=2")


def test_a_started_job_is_not_finished(script, tmp_path):
    (tmp_path / "progress.jsonl").write_text('{"job": "pre-train", "started": ["run.py"]}\n')
    assert script("study_jobs").Jobs(str(tmp_path)).finished == {}


def test_the_corpora_of_the_tiny_model_belong_to_their_flag(script, tmp_path, monkeypatch):
    tiny_zh, study_jobs = script("tiny_zh"), script("study_jobs")
    written = []
    monkeypatch.setattr(tiny_zh, "write_corpora", written.append)
    paths = (str(tmp_path / "corpora" / "train.txt"), str(tmp_path / "corpora" / "held_out.txt"))
    for _ in range(2):
        assert tiny_zh.make_corpora(study_jobs.Jobs(str(tmp_path))) == paths
    assert written == [str(tmp_path / "corpora")]
    tiny_zh.FLAGS.input_file = "other.txt"
    with pytest.raises(InputError, match="the job 'corpora' has finished with other flags, none"):
        tiny_zh.make_corpora(study_jobs.Jobs(str(tmp_path)))


def test_half_written_corpora_are_written_again(script, tmp_path, monkeypatch):
    tiny_zh, study_jobs = script("tiny_zh"), script("study_jobs")
    for name in ("train", "held_out"):
        (tmp_path / "corpora").mkdir(exist_ok=True)
        (tmp_path / "corpora" / f"{name}.txt").write_text("half")
    written = []
    monkeypatch.setattr(tiny_zh, "write_corpora", written.append)
    tiny_zh.make_corpora(study_jobs.Jobs(str(tmp_path)))
    assert len(written) == 1
