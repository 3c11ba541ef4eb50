"""Raw inputs of examples to padded sequences of both grains: what the KerasHub preprocessors share."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.presets import check_preset
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.task_inputs import input_specs, task_inputs
from ambert_tf.tokenization.model_inputs import MIN_SEQ_LENGTH, pad_model_inputs

ROUND_ROBIN = "round_robin"


class SequenceInputs:
    """Tokenizes the raw inputs of a task; mixed into KerasHub's preprocessors.

    A subclass sets `tokenizer`, `sequence_length`, `coarse_sequence_length` and `static_shapes`, and says what its task
    is. The graph is the one that training and serving run, `task_inputs`.
    """

    tokenizer: AmbertTokenizer
    coarse_sequence_length: int | None
    static_shapes: bool
    _sequence_length: int
    _graph: Any = None

    @property
    def sequence_length(self) -> int:
        """The maximum number of fine tokens of a sequence."""
        return self._sequence_length

    @sequence_length.setter
    def sequence_length(self, value: int) -> None:
        self._sequence_length = value
        self._graph = None

    @property
    def task(self) -> TaskConfig:
        """What the inputs are."""
        return TaskConfig(task_name="", **self.lengths())

    def lengths(self) -> dict[str, Any]:
        """Returns `max_seq_length` and `max_coarse_seq_length`."""
        fine = self.sequence_length
        return {"max_seq_length": fine, "max_coarse_seq_length": self.coarse_sequence_length or fine}

    def check(self, truncate: str = ROUND_ROBIN) -> None:
        """Raises a ValueError if the arguments are wrong."""
        if truncate != ROUND_ROBIN:
            raise ValueError(
                f'`truncate` must be "{ROUND_ROBIN}": the longer text of a pair loses tokens first, as in BERT. '
                f"Received: truncate={truncate!r}"
            )
        lengths = self.lengths()
        if min(lengths.values()) < MIN_SEQ_LENGTH or lengths["max_coarse_seq_length"] > lengths["max_seq_length"]:
            raise ValueError(
                f"`sequence_length` must be at least {MIN_SEQ_LENGTH}, and `coarse_sequence_length` from that to "
                "`sequence_length`: a text never has more coarse tokens than fine ones. Received: "
                f"sequence_length={self.sequence_length}, coarse_sequence_length={self.coarse_sequence_length}"
            )

    def build(self, input_shape: object = None) -> None:
        """Builds nothing: KerasHub's packers cut one grain only."""

    def raw_inputs(self, x: Any) -> dict[str, tf.Tensor]:
        """Returns the raw inputs by name.

        Args:
          x: a dictionary with these names, a tuple in their order, or the first of them.

        Raises:
          ValueError: one is missing or has the wrong type.
        """
        specs = input_specs(self.task)
        values = x if isinstance(x, Mapping) else dict(enumerate(x)) if isinstance(x, tuple) else {0: x}
        names = list(specs)
        found = {
            names[key] if isinstance(key, int) and key < len(names) else key: value for key, value in values.items()
        }
        if set(found) != set(names):
            several = f"a tuple ({', '.join(names)}), or a dictionary with these keys"
            wanted = several if len(names) > 1 else f"`{names[0]}` only"
            received = list(x) if isinstance(x, Mapping) else f"{len(values)} input" + "s" * (len(values) > 1)
            raise ValueError(f"{type(self).__name__} takes {wanted}. Received: {received}")
        return {name: self._tensor(name, found[name], specs[name].dtype) for name in names}

    def _tensor(self, name: str, value: Any, dtype: tf.DType) -> tf.Tensor:
        tensor = tf.convert_to_tensor(value)
        if dtype == tf.string and tensor.dtype != tf.string:
            raise ValueError(
                f"{type(self).__name__} takes strings as `{name}`, such as `['a text', 'another text']`. Received: "
                f"values of dtype {tensor.dtype.name}"
            )
        return tensor if dtype == tf.string else tf.cast(tensor, dtype)

    def preprocess(self, x: Any) -> dict[str, Any]:
        """Returns the model inputs of a batch, or of one example, whose inputs have one axis less."""
        raw = self.raw_inputs(x)
        first = next(iter(raw))
        single = raw[first].shape.rank == 0
        if single:
            raw = {name: value[tf.newaxis] for name, value in raw.items()}
        if self._graph is None:
            self._graph = tf.function(self.model_inputs, autograph=False, reduce_retracing=True)
        # In eager mode the graph of a few hundred operations runs as a whole.
        inputs = (self._graph if tf.executing_eagerly() else self.model_inputs)(**raw)
        return tf.nest.map_structure(lambda value: value[0], inputs) if single else inputs

    def model_inputs(self, **raw: tf.Tensor) -> dict[str, Any]:
        """Returns the padded model inputs, int32 [batch, length]."""
        return self.pad(task_inputs(self.task, self.tokenizer.tokenizer, **raw))

    def pad(self, inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Pads to the longest sequence of the batch, or with `static_shapes` to the limits."""
        lengths = tuple(self.lengths().values()) if self.static_shapes else (None, None)
        return pad_model_inputs(dict(inputs), *lengths)

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> Any:
        """Loads the preprocessor of a preset; see `keras_hub.models.Preprocessor.from_preset`."""
        check_preset(preset)
        return super().from_preset(preset, **kwargs)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),  # type: ignore[misc]
            "sequence_length": self.sequence_length,
            "coarse_sequence_length": self.coarse_sequence_length,
            "static_shapes": self.static_shapes,
        }
