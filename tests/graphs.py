"""What conftest.py turns off because it takes longer than running the small graphs of the suite."""

import contextlib

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import tf_stack

_STACK_TRACES = (tf_stack.extract_stack, pywrap_tf_session.TF_SetOpStackTrace)


def disable_stack_traces() -> None:
    """Builds graphs without a Python stack trace per node, which takes a sixth of the time of fine-tuning tests.

    The traces only show in messages of errors in a running graph. TensorFlow has no public switch.
    """
    tf_stack.extract_stack = lambda stacklevel=1: None
    pywrap_tf_session.TF_SetOpStackTrace = lambda operation, trace: None


@contextlib.contextmanager
def stack_traces():
    """Builds graphs with stack traces, as users do. For tests of messages."""
    tf_stack.extract_stack, pywrap_tf_session.TF_SetOpStackTrace = _STACK_TRACES
    try:
        yield
    finally:
        disable_stack_traces()


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
