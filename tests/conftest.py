"""Settings for the whole suite: two logical CPU devices, so that distribution is tested on several devices."""

import ambert_tf  # noqa: F401, I001  first, for it hides TensorFlow's start-up messages
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
