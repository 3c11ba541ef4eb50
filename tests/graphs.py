"""TensorFlow's graph optimizer, which conftest.py turns off: optimizing a graph takes longer than running it here."""

import contextlib

import tensorflow as tf


def disable_graph_optimizer(disabled: bool = True) -> None:
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": disabled})


@contextlib.contextmanager
def graph_optimizer():
    """Runs graphs as users do. For tests of what the optimizer might change. Other processes always use it."""
    disable_graph_optimizer(False)
    try:
        yield
    finally:
        disable_graph_optimizer()
