import pytest
import tensorflow as tf

from ambert_tf.training import peak
from ambert_tf.training.peak import matrix_peak, peak_of


def test_a_product_runs_at_a_plausible_speed():
    assert 1e8 < matrix_peak("float32") < 1e15


def test_the_highest_of_several_measurements_counts(monkeypatch):
    """Because another program may be busy during the first one."""
    now, measured = [0.0], [3e9, 5e9, 4e9]
    monkeypatch.setattr(peak, "_peaks", {})
    monkeypatch.setattr(peak, "_measured", lambda precision: measured.pop(0))
    monkeypatch.setattr(peak.time, "monotonic", lambda: now[0])
    found = []
    for seconds in (0, 59, 60, 119, 120):
        now[0] = float(seconds)
        found.append(matrix_peak("float32"))
    assert found == [3e9, 3e9, 5e9, 5e9, 5e9]
    assert measured == []


@pytest.fixture(autouse=True)
def one_product(monkeypatch):
    monkeypatch.setattr(peak, "matrix_peak", lambda precision: 5e9)


def test_logical_devices_share_the_cpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["CPU:0"] if kind == "CPU" else [])
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        assert peak_of(strategy, "float32") == 5e9


def test_each_gpu_adds_its_peak(monkeypatch):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"] if kind == "GPU" else [])
    assert peak_of(strategy, "float32") == 10e9
