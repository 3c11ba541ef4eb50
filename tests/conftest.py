"""Settings for the whole suite: two logical CPU devices, so that distribution is tested on several devices."""

import gc  # noqa: I001

import ambert_tf  # noqa: F401  first, because it hides TensorFlow's start-up messages
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
# The suite runs in several processes.
tf.config.threading.set_intra_op_parallelism_threads(1)
# TensorFlow's own objects live as long as the process, so collecting garbage among them is a waste of time.
gc.freeze()
gc.set_threshold(50_000, 20, 20)
