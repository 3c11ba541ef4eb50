import json
import os
import threading

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.training import distribution
from ambert_tf.training.distribution import make_strategy


def test_one_replica_needs_no_strategy_of_its_own():
    assert make_strategy().num_replicas_in_sync == 1
    assert make_strategy(1) is tf.distribute.get_strategy()


def test_replicas_are_logical_cpu_devices():
    strategy = make_strategy(2)
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 2


def test_more_replicas_than_there_can_be_devices_are_refused():
    tf.constant(1)  # TensorFlow has started
    with pytest.raises(InputError, match="--num_replicas=64"):
        make_strategy(64)
    with pytest.raises(InputError, match="--num_replicas=0: must be at least 1"):
        make_strategy(0)


def test_one_worker_is_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["localhost:12345"]}}))
    assert make_strategy().num_replicas_in_sync == 1


def test_a_worker_does_not_wait_for_ever(monkeypatch, capsys):
    ended = threading.Event()

    def end(status):
        assert status == 1
        ended.set()

    def wait_for_others():
        assert ended.wait(10)
        raise tf.errors.UnavailableError(None, None, "nobody there")

    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}')
    monkeypatch.setattr(distribution, "START_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", wait_for_others)
    with pytest.raises(InputError, match=r"cannot start at b:2, or another one is not to be reached: nobody there"):
        make_strategy()
    assert capsys.readouterr().err == ("error: TF_CONFIG: not all of the 2 workers (a:1, b:2) came up within 0.01 s\n")
