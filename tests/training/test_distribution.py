import json
import signal
import subprocess

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.training.distribution import ended_after, make_strategy


def test_one_replica_uses_the_default_strategy():
    assert make_strategy().num_replicas_in_sync == 1
    assert make_strategy(1) is tf.distribute.get_strategy()


def test_replicas_are_logical_cpu_devices():
    strategy = make_strategy(2)
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 2


def test_more_replicas_than_devices_are_refused():
    tf.constant(1)  # initializes TensorFlow
    with pytest.raises(InputError, match="--num_replicas=64"):
        make_strategy(64)
    with pytest.raises(InputError, match="--num_replicas=0: must be at least 1"):
        make_strategy(0)


def test_one_worker_is_not_a_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["localhost:12345"]}}))
    assert make_strategy().num_replicas_in_sync == 1


def test_a_process_that_waits_too_long_is_killed_with_a_message(capfd):
    with subprocess.Popen(["sleep", "60"]) as sleeper, ended_after(0.1, sleeper.pid, "error: nobody came"):
        assert sleeper.wait(20) == -signal.SIGKILL
    assert capfd.readouterr().err == "error: nobody came\n"


def test_a_process_in_time_continues():
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with ended_after(60, sleeper.pid, "error: nobody came"):
            pass
        assert sleeper.poll() is None
        sleeper.kill()
