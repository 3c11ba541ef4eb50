"""Custom gradients that do not keep their graphs in memory."""

import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.framework import ops

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_ATTRIBUTE = "_ambert_tf_gradients"


def custom_gradient(function: FunctionT) -> FunctionT:
    """`tf.custom_gradient` without its memory leak.

    For each call in a graph, `tf.custom_gradient` adds a closure over the graph's tensors to a global table and never
    removes it. Every traced graph stays in memory with its constants, which amounts to gigabytes in a notebook that
    trains several models. Here, the graph itself owns the closure, and the table has only a weak reference to the
    graph.
    """
    decorated = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        result = decorated(*args)
        if not tf.executing_eagerly():
            _move_to_graph(tf.compat.v1.get_default_graph())
        return result

    return call  # type: ignore[return-value]


def _move_to_graph(graph: Any) -> None:
    """Moves the closures of the last call from the table to the graph."""
    if not hasattr(graph, _ATTRIBUTE):
        setattr(graph, _ATTRIBUTE, {})
    owned = getattr(graph, _ATTRIBUTE)
    table = ops.gradient_registry._registry  # There is no public way to remove an entry.
    for name in reversed(table):
        entry = table[name]
        if not name.startswith("CustomGradient-") or hasattr(entry["type"], _ATTRIBUTE):
            break
        owned[name] = entry["type"]
        table[name] = {**entry, "type": _reference(weakref.ref(graph), name)}
        weakref.finalize(graph, table.pop, name, None)


def _reference(graph: weakref.ref[Any], name: str) -> Callable[..., Any]:
    """Returns a gradient function that calls the closure owned by a graph."""

    def gradient(operation: Any, *upstream: Any) -> Any:
        return getattr(graph(), _ATTRIBUTE)[name](operation, *upstream)

    setattr(gradient, _ATTRIBUTE, True)
    return gradient
