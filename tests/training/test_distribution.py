import json

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
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
