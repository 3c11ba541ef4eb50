"""Settings for the whole suite: two logical CPU devices, so that distribution is tested on several devices."""

import gc

import pytest


def pytest_configure(config):
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        return  # the process that distributes the tests, which runs none
    from ambert_tf.startup import import_keras_alone

    import_keras_alone()  # as the programs do
    import tensorflow as tf

    from tests.graphs import disable_graph_optimizer, disable_stack_traces

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # The suite runs in several processes.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    disable_graph_optimizer()
    disable_stack_traces()
    # TensorFlow's own objects live as long as the process, so collecting garbage among them is a waste of time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="module")
def optimized_graphs():
    from tests.graphs import graph_optimizer

    with graph_optimizer():
        yield
