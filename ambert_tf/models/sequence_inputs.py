"""`SequenceInputs`: base of the KerasHub preprocessors, from raw inputs to padded sequences of both grains."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.preset_files import check_preset
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.task_inputs import input_specs, task_inputs
from ambert_tf.tokenization.model_inputs import MIN_SEQ_LENGTH, pad_model_inputs

ROUND_ROBIN = "round_robin"


class SequenceInputs:
    """Mixin for KerasHub preprocessors that tokenizes the raw inputs of a task.

    A subclass calls `set_sequences` at the end of its constructor and defines `task`. Preprocessing runs `task_inputs`,
    the graph that training and serving use. By default, `y` and `sample_weight` pass through unchanged.
    """

    backbone_cls = AmbertBackbone
    tokenizer_cls = AmbertTokenizer

    tokenizer: AmbertTokenizer
    coarse_sequence_length: int | None
    static_shapes: bool
    inputs: str
    doc_stride: int
    _sequence_length: int
    _graph: Any = None  # in eager mode
    _part: Any = None  # inside another graph, such as that of `tf.data.Dataset.map`

    @property
    def sequence_length(self) -> int:
        """The maximum number of fine tokens in a sequence."""
        return self._sequence_length

    @sequence_length.setter
    def sequence_length(self, value: int) -> None:
        self._sequence_length = value

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_") and name != "built":  # which Keras sets
            self._graph = self._part = None  # they contain the settings they were traced with

    @property
    def task(self) -> TaskConfig:
        """The task, which determines the raw inputs."""
        return TaskConfig(task_name="", **self.lengths())

    def lengths(self) -> dict[str, Any]:
        """Returns `max_seq_length` and `max_coarse_seq_length`."""
        fine = self.sequence_length
        return {"max_seq_length": fine, "max_coarse_seq_length": self.coarse_sequence_length or fine}

    def set_sequences(
        self,
        tokenizer: AmbertTokenizer,
        sequence_length: int,
        coarse_sequence_length: int | None,
        truncate: str = ROUND_ROBIN,
        static_shapes: bool = False,
    ) -> None:
        """Sets the arguments that all preprocessors share.

        Raises:
          ValueError: an argument is invalid.
        """
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.coarse_sequence_length = coarse_sequence_length
        self.static_shapes = static_shapes
        if truncate != ROUND_ROBIN:
            raise ValueError(
                f'`truncate` must be "{ROUND_ROBIN}": the longer text of a pair is truncated first, as in BERT. '
                f"Received: truncate={truncate!r}"
            )
        lengths = self.lengths()
        if min(lengths.values()) < MIN_SEQ_LENGTH or lengths["max_coarse_seq_length"] > lengths["max_seq_length"]:
            raise ValueError(
                f"`sequence_length` must be at least {MIN_SEQ_LENGTH}, and `coarse_sequence_length` must be between "
                f"{MIN_SEQ_LENGTH} and `sequence_length`, because a text has at most as many coarse tokens as fine "
                "tokens. Received: "
                f"sequence_length={self.sequence_length}, coarse_sequence_length={self.coarse_sequence_length}"
            )

    def check_positions(self, backbone: AmbertBackbone) -> None:
        """Raises a ValueError if sequences may be longer than the backbone's position embeddings."""
        positions = backbone.max_sequence_length
        lengths = dict(zip(("fine", "coarse"), self.lengths().values(), strict=True))
        if any(lengths[grain] > positions for grain in backbone.grains):
            raise ValueError(
                "The `sequence_length` and `coarse_sequence_length` of `preprocessor` must be at most the backbone's "
                f"`max_sequence_length={positions}`. Received: sequence_length={self.sequence_length}, "
                f"coarse_sequence_length={self.coarse_sequence_length}"
            )

    def set_inputs(self, inputs: str, known: Sequence[str]) -> None:
        """Sets the kind of inputs, `inputs`; raises a ValueError if it is not a known one."""
        if inputs not in known:
            raise ValueError(f"`inputs` must be one of {tuple(known)}. Received: inputs={inputs!r}")
        self.inputs = inputs

    def set_doc_stride(self, doc_stride: int) -> None:
        """Sets the fine tokens between the starts of windows; raises a ValueError if there are none."""
        if doc_stride < 1:
            raise ValueError(f"`doc_stride` must be at least 1. Received: doc_stride={doc_stride}")
        self.doc_stride = doc_stride

    @preprocessing_function
    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return keras.utils.pack_x_y_sample_weight(self.preprocess(x), y, sample_weight)

    def build(self, input_shape: object = None) -> None:
        """Does nothing. KerasHub would create a packer here, but its packers truncate a single grain only."""

    def raw_inputs(self, x: Any) -> dict[str, tf.Tensor]:
        """Returns the raw inputs by name.

        Args:
          x: a dictionary with these names, a tuple in this order, or the first input alone.

        Raises:
          ValueError: an input is missing or has the wrong type.
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
        return {name: self._tensor(name, found[name], specs[name]) for name in names}

    def _tensor(self, name: str, value: Any, spec: tf.TensorSpec) -> tf.Tensor:
        tensor, dtype = tf.convert_to_tensor(value), spec.dtype
        if tensor.shape == [0]:  # an empty list, whatever its values would be
            return tf.zeros([0] * spec.shape.rank, dtype)
        if dtype == tf.string and tensor.dtype != tf.string:
            raise ValueError(
                f"{type(self).__name__} takes strings as `{name}`, such as `['a text', 'another text']`. Received: "
                f"values of dtype {tensor.dtype.name}"
            )
        return tensor if dtype == tf.string else tf.cast(tensor, dtype)

    def preprocess(self, x: Any) -> dict[str, Any]:
        """Returns the model inputs of a batch, or of a single example without batch axis."""
        raw = self.raw_inputs(x)
        first = next(iter(raw))
        single = raw[first].shape.rank == 0
        if single:
            raw = {name: value[tf.newaxis] for name, value in raw.items()}
        inputs = self._in_graph(self.model_inputs, raw)
        return tf.nest.map_structure(lambda value: value[0], inputs) if single else inputs

    def windows(self, **raw: tf.Tensor) -> dict[str, Any]:
        """Returns the ragged inputs of a batch of long texts, one row per window; see `task_inputs`."""
        return self._in_graph(self._ragged_inputs, raw)

    def model_inputs(self, **raw: tf.Tensor) -> dict[str, Any]:
        """Returns the padded model inputs, int32 [batch, length]."""
        return self.pad(self._ragged_inputs(**raw))

    def _ragged_inputs(self, **raw: tf.Tensor) -> dict[str, Any]:
        return task_inputs(self.task, self.tokenizer.tokenizer, **raw)

    def _in_graph(self, function: Callable[..., dict[str, Any]], raw: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        """Calls a function of a few hundred operations as one graph, which is traced once for all datasets."""
        if not tf.executing_eagerly():
            if self._part is None:
                self._part = tf.function(function, autograph=False)  # keeps static shapes
            return self._part(**raw)
        if self._graph is None:
            self._graph = tf.function(function, autograph=False, reduce_retracing=True)
        return self._graph(**raw)

    def pad(self, inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Pads to the longest sequence in the batch or, with `static_shapes`, to the maximum lengths."""
        lengths = tuple(self.lengths().values()) if self.static_shapes else (None, None)
        return pad_model_inputs(dict(inputs), *lengths)

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> Any:
        """Loads the preprocessor of a preset; see `keras_hub.models.Preprocessor.from_preset`."""
        check_preset(preset)
        return super().from_preset(preset, **kwargs)  # type: ignore[misc]

    @classmethod
    def _add_missing_kwargs(cls, loader: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        # KerasHub calls this if the preset has no preprocessor of this class.
        positions = loader.config.get("config", {}).get("max_sequence_length")
        if positions is not None:
            default = inspect.signature(cls.__init__).parameters["sequence_length"].default
            kwargs.setdefault("sequence_length", min(default, positions))
        return super()._add_missing_kwargs(loader, kwargs)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),  # type: ignore[misc]
            "sequence_length": self.sequence_length,
            "coarse_sequence_length": self.coarse_sequence_length,
            "static_shapes": self.static_shapes,
        }
