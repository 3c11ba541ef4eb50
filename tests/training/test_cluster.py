import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.training.cluster import Cluster, cluster_of_environment
from ambert_tf.training.distribution import make_strategy
from tests.training.runs import Run

PROJECT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}, Cluster(("a:1", "b:2"), 1)),
        ({"cluster": {"worker": ["a:1", "b:2"]}}, Cluster(("a:1", "b:2"), 0)),
        (
            {"cluster": {"chief": ["c:1"], "worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}},
            Cluster(("c:1", "a:1", "b:2"), 1),
        ),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, None),
        ({}, None),
    ],
)
def test_workers_are_numbered_starting_with_the_chief(monkeypatch, content, expected):
    monkeypatch.setenv("TF_CONFIG", json.dumps(content))
    assert cluster_of_environment() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("worker:1234", "is not JSON such as"),
        ("[]", "is not JSON such as"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": 1}', "is not JSON such as"),
        ('{"cluster": {"worker": ["a:1", "b:2"], "ps": ["c:3"]}}', "has a job 'ps'"),
        ('{"cluster": {"chief": ["a:1", "b:2"]}}', "has more than one chief"),
        ('{"cluster": {"worker": ["a:1", "b"]}}', "'b' is not an address such as host0:12345"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}}', "a:1 is listed twice"),
        (
            '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"index": 2}}',
            "task is worker 2, but the job .worker. has 2 processes",
        ),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "chief"}}', "its task is chief 0, but"),
    ],
)
def test_mistakes_are_named(monkeypatch, content, message):
    monkeypatch.setenv("TF_CONFIG", content)
    with pytest.raises(InputError, match=f"TF_CONFIG: .*{message}"):
        cluster_of_environment()


def test_a_worker_uses_all_its_gpus(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}}')
    with pytest.raises(InputError, match="--num_replicas=2: a worker of TF_CONFIG uses all of its GPUs"):
        make_strategy(2)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The directory of two workers, and the messages and statuses of each."""
    directory = tmp_path_factory.mktemp("workers")
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(place), "PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-m", "tests.training.worker", str(directory)]
        processes.append(
            subprocess.Popen(
                command, cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    said = []
    for process in processes:
        output, errors = process.communicate(timeout=240)
        assert output, errors
        said.append({key: value for line in output.splitlines() for key, value in json.loads(line).items()})
    return directory, said, [process.returncode for process in processes]


def test_two_processes_train_like_one(workers):
    expected = Run(num_train_steps=4).train()
    for index in range(2):
        with np.load(workers[0] / f"weights-{index}.npz") as found:
            assert set(found) == set(expected)
            for path, value in expected.items():
                np.testing.assert_allclose(found[path], value, atol=2e-6, err_msg=path)


def test_only_the_chief_writes(workers):
    directory, said, _ = workers
    assert [each["chief"] for each in said] == [True, False]
    assert (directory / "run-0" / "checkpoints" / "ckpt-4.index").exists()
    assert not (directory / "run-1").exists()


def test_all_workers_report_a_disagreement(workers):
    for said in workers[1]:
        assert said["flags"] == (
            "replica 1 of 2 was started with different flags than the first; run the same command on all workers"
        )
        assert said["steps"] == (
            "--output_dir: replica 1 of 2 resumes at step 7, the first at 0; it must be a directory that all workers "
            "share"
        )
        assert said["agreed"] == "no error"


def test_a_lost_worker_ends_the_other_with_a_message(workers):
    _, said, statuses = workers
    assert statuses == [0, -9]
    assert said[0]["lost"].startswith("a worker of TF_CONFIG has ended or does not respond (")
    assert said[0]["lost"].endswith("); restart all workers to resume from the last checkpoint")
