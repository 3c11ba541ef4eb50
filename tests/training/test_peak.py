import tensorflow as tf

from ambert_tf.training.peak import matrix_peak, peak_of


def test_a_product_runs_at_a_plausible_speed_and_is_measured_once():
    peak = matrix_peak("float32")
    assert 1e8 < peak < 1e15
    assert matrix_peak("float32") == peak


def test_logical_devices_share_the_processor(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["CPU:0"] if kind == "CPU" else [])
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        assert peak_of(strategy, "float32") == matrix_peak("float32")


def test_each_gpu_adds_its_own(monkeypatch):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"] if kind == "GPU" else [])
    assert peak_of(strategy, "float32") == 2 * matrix_peak("float32")
