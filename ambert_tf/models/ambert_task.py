"""`AmbertTask`: compilation, data handling and losses shared by the task models."""

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.bert_optimizer import BertAdamW, BertLearningRate
from ambert_tf.models.preset_files import check_preset
from ambert_tf.models.sequence_inputs import SequenceInputs

DEFAULT_BATCH_SIZE = 32


class AmbertTask:
    """Mixin for tasks: a backbone with heads, trained with one of the paper's losses.

    List it before the KerasHub task class among the bases. It is not a subclass of `keras_hub.models.Task`, because
    Keras rewrites the base classes of functional models and fails on diamond inheritance.

    `fit`, `evaluate` and `predict` take lists, NumPy arrays, tensors and `tf.data` datasets. `fit` shuffles arrays
    unless `shuffle=False`.
    """

    _compile_loss: Any
    _compile_metrics: Any
    backbone_cls = AmbertBackbone
    predicts_answers = False  # whether `predict` returns something else than arrays

    backbone: AmbertBackbone
    preprocessor: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.preprocessor, SequenceInputs):
            self.preprocessor.check_positions(self.backbone)
        super().__init__(*args, **kwargs)
        self._convert_input_args = True  # NumPy inputs to tensors; Functional.call, which is overridden, would do this

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` ignores additional ones, such as labels."""
        return None

    @abstractmethod
    def training_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
        """Returns the loss of a batch under `compile(loss="auto")`, a scalar."""

    def xla_obstacle(self) -> str | None:
        """Returns what makes shapes dynamic, and the remedy, or None if XLA can compile the model."""
        if self.backbone.static_shapes:
            return None
        return (
            "this backbone removes padding in training. Create the backbone and the preprocessor with "
            "`static_shapes=True`, or leave `jit_compile` out."
        )

    @abstractmethod
    def default_metrics(self) -> Any:
        """Returns the metrics under `compile(metrics="auto")`."""

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Returns the targets, predictions and weights for the metrics."""
        return y, y_pred, sample_weight

    def loss_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Returns the targets, predictions and weights for a loss passed to `compile`."""
        return self.metric_inputs(x, y, y_pred, sample_weight)

    def prediction(self, x: Any, y_pred: Any) -> Any:
        """Returns the output of `predict`, given the output of a call."""
        return y_pred

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", *, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        """Configures the task for training.

        Args:
          optimizer: `"auto"`, or as in `keras.Model.compile`. Defaults to `"auto"`, which uses AdamW with BERT's
            fine-tuning settings, with linear warm-up and decay over the steps of `fit`.
          loss: `"auto"`, or as in `keras.Model.compile`. Defaults to `"auto"`, which uses the loss of the paper.
          jit_compile: `"auto"` or a bool. Defaults to `"auto"`, which uses XLA if the backbone has
            `static_shapes=True`. XLA requires static shapes.
          **kwargs: see `keras.Model.compile`. `metrics` and `weighted_metrics` also accept `"auto"`.

        Raises:
          ValueError: `jit_compile=True` was given but the model has dynamic shapes.
        """
        obstacle = self.xla_obstacle()
        if jit_compile == "auto":
            jit_compile = obstacle is None
        elif jit_compile and obstacle is not None:
            raise ValueError(f"`jit_compile=True` needs static shapes, but {obstacle}")
        own = "weighted_metrics" if isinstance(self, keras_hub.models.MaskedLM) else "metrics"
        kwargs.setdefault(own, "auto")
        for name in ("metrics", "weighted_metrics"):
            if isinstance(kwargs.get(name), str) and kwargs[name] == "auto":
                kwargs[name] = self.default_metrics() if name == own else None
        # Keras keeps the loss and the metrics of the previous `compile` where the new ones are None.
        self._compile_loss = self._compile_metrics = None
        super().compile(  # type: ignore[misc]
            optimizer=BertAdamW() if isinstance(optimizer, str) and optimizer == "auto" else optimizer,
            loss=None if isinstance(loss, str) and loss == "auto" else loss,
            jit_compile=jit_compile,
            **kwargs,
        )

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, and whether the optimizer has variables, for a `.keras` file."""
        config = super().get_compile_config()  # type: ignore[misc]
        model: Any = self
        return {**config, "optimizer_built": bool(model.optimizer and model.optimizer.built)} if config else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was when it was saved. Keras then loads the optimizer's variables."""
        config = keras.saving.deserialize_keras_object(config)
        built = config.pop("optimizer_built", False)  # absent in older files
        self.compile(**config)
        model: Any = self
        if built and model.optimizer:
            model.optimizer.build(model.trainable_variables)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        if y is None:
            raise ValueError(f"{type(self).__name__} needs labels `y` to train and evaluate. Received: y=None")
        if self._compile_loss is not None:
            y, y_pred, sample_weight = self.loss_inputs(x, y, y_pred, sample_weight)
            return super().compute_loss(x, y, y_pred, sample_weight, training)  # type: ignore[misc]
        # Keras sums the gradients over the replicas.
        return self.training_loss(x, y, y_pred, sample_weight) / tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y, y_pred, sample_weight = self.metric_inputs(x, y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)  # type: ignore[misc]

    def predict_step(self, data: Any) -> Any:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.prediction(x, self(x, training=False))  # type: ignore[operator]

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        validation_data: Any = None,
        validation_split: float | None = None,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> Any:
        self.check_class_weight(kwargs.get("class_weight"))
        # Pass a tf.data dataset to Keras. From arrays, KerasHub would infer shapes from the first batches, but each
        # batch is padded to its own longest text.
        if not isinstance(x, tf.data.Dataset):
            arrays = self._arrays(x, y, sample_weight)
            if validation_split and validation_data is None:
                kept = int(_length(arrays) * (1 - validation_split))
                if not 0 < kept < _length(arrays):
                    raise ValueError(
                        "`validation_split` must leave examples for training and for validation. Received: "
                        f"validation_split={validation_split} with {_length(arrays)} examples"
                    )
                held_out = _map_leaves(lambda value: value[kept:], arrays)
                arrays = _map_leaves(lambda value: value[:kept], arrays)
                validation_data = _batches(held_out, batch_size)
            x, y, sample_weight = _batches(arrays, batch_size, shuffle), None, None
        else:
            if validation_split and validation_data is None:
                raise ValueError(
                    "`validation_split` is only supported for lists, arrays and tensors. Pass `validation_data` with a "
                    f"`tf.data.Dataset`. Received: validation_split={validation_split}"
                )
            kwargs["batch_size"] = batch_size  # KerasHub raises an error
        if validation_data is not None and not isinstance(validation_data, tf.data.Dataset):
            parts = keras.utils.unpack_x_y_sample_weight(validation_data)
            validation_data = _batches(self._arrays(*parts), batch_size)
        kwargs["shuffle"] = False  # arrays are already shuffled, and Keras does not shuffle datasets
        self._set_schedule(x, kwargs.get("epochs", 1), kwargs.get("initial_epoch", 0), kwargs.get("steps_per_epoch"))
        model: Any = self
        optimizer = getattr(model, "optimizer", None)  # without compile(), Keras raises an error
        if optimizer is not None and not optimizer.built:
            # Keras would create the optimizer's variables in the first step, which TensorFlow then traces twice.
            with model.distribute_strategy.scope():
                optimizer.build(model.trainable_variables)
        with _unused_pooler_ignored():
            return super().fit(x, y, sample_weight=sample_weight, validation_data=validation_data, **kwargs)  # type: ignore[misc]

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        if not kwargs.get("_use_cached_eval_dataset") and not isinstance(x, tf.data.Dataset):
            x = _batches(self._arrays(x, y, sample_weight), batch_size)
            y = batch_size = sample_weight = None
        return super().evaluate(x, y, batch_size=batch_size, sample_weight=sample_weight, **kwargs)  # type: ignore[misc]

    def predict(self, x: Any = None, batch_size: int | None = None, **kwargs: Any) -> Any:
        if not isinstance(x, tf.data.Dataset):
            arrays = self._arrays(x)
            if _length(arrays) == 0:
                return self.predict_on_batch(x)  # Keras raises an error for a dataset without batches
            x, batch_size = _batches(arrays, batch_size), None
        return super().predict(x, batch_size=batch_size, **kwargs)  # type: ignore[misc]

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Trains on one batch, given as for `fit`. The default optimizer's learning rate is constant."""
        self.check_class_weight(class_weight)
        schedule = self._schedule()
        if schedule is not None:
            schedule.set_steps(0, 0)  # the schedule of a previous `fit` has ended at zero
        data = self._preprocessed(x, y, sample_weight)
        with _unused_pooler_ignored():
            return keras.Model.train_on_batch(self, *data, class_weight=class_weight, return_dict=return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Evaluates one batch, given as for `evaluate`."""
        return keras.Model.test_on_batch(self, *self._preprocessed(x, y, sample_weight), return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the output of `predict` for one batch."""
        if self.predicts_answers and getattr(self, "preprocessor", None) is not None:
            return self.predict(x, batch_size=max(1, _length(self._arrays(x))))
        return keras.Model.predict_on_batch(self, self._preprocessed(x)[0])

    def _preprocessed(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        model: Any = self
        return keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(*self._arrays(x, y, sample_weight)))

    def _prediction_dataset(
        self, x: Any, batch_size: int | None, steps: int | None = None, verbose: Any = "auto"
    ) -> tf.data.Dataset:
        """Returns the batches for a `predict` that returns answers, which has no progress bar and no callbacks."""
        del verbose
        dataset = x if isinstance(x, tf.data.Dataset) else _batches(self._arrays(x), batch_size)
        return dataset if steps is None else dataset.take(steps)

    def _arrays(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
        """Returns the data as a tuple of tensors, or of structures of them.

        Raises:
          ValueError: the data has no batch axis, the lengths differ, or there are weights without labels.
        """
        if y is None and sample_weight is not None:  # Keras would take the weights for the labels
            raise ValueError(f"`sample_weight` needs `y` in {type(self).__name__}. Received: y=None")
        arrays = tuple(_tensors(part) for part in (x, y, sample_weight) if part is not None)
        leaves = _leaves(arrays)
        if any(leaf.shape.rank == 0 for leaf in leaves):
            raise ValueError(
                "`x`, `y`, and `sample_weight` must have a batch dimension when calling `fit()`, `evaluate()`, and "
                "`predict()`. Received an input with rank 0. Please wrap it in a list."
            )
        lengths = sorted({int(leaf.shape[0]) for leaf in leaves})
        if len(lengths) > 1:
            raise ValueError(
                "`x`, `y`, and `sample_weight` must all have the same batch dimension. Received inputs with batch "
                "sizes "
                f"{lengths}."
            )
        if y is not None and self._compile_loss is None:
            self.check_labels(arrays[0], arrays[1])
        return arrays

    def check_labels(self, x: Any, y: Any) -> None:
        """Raises a ValueError if the labels do not match the model and its inputs. Other losses take other labels."""

    def check_class_weight(self, class_weight: Any) -> None:
        """Raises a ValueError if class weights are given but mean nothing for the task."""

    def _set_schedule(self, dataset: tf.data.Dataset, epochs: int, initial_epoch: int, steps: int | None) -> None:
        schedule = self._schedule()
        if schedule is not None:
            optimizer = self._inner_optimizer()
            steps = steps or max(int(dataset.cardinality()), 0)
            # Not `iterations`, which counts the steps of gradient accumulation as one. The schedule gets them all.
            # `convert_to_tensor` because `int` does not accept a replicated variable.
            schedule.set_steps(int(tf.convert_to_tensor(optimizer._iterations.value)), steps * (epochs - initial_epoch))

    def _inner_optimizer(self) -> Any:
        optimizer: Any = getattr(self, "optimizer", None)
        return getattr(optimizer, "inner_optimizer", optimizer)  # unwrap LossScaleOptimizer (float16)

    def _schedule(self) -> BertLearningRate | None:
        schedule = getattr(self._inner_optimizer(), "_learning_rate", None)
        return schedule if isinstance(schedule, BertLearningRate) else None

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Under a distribution strategy, Keras would average the replicas' batches here and turn token ids into floats.
        if isinstance(data_batch, tuple):
            inputs = _map_leaves(lambda value: tf.cast(value, tf.int32), data_batch[0])
            data_batch = (inputs, *data_batch[1:])
        super()._symbolic_build(iterator, data_batch)  # type: ignore[misc]

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True, **kwargs: Any) -> Any:
        """Loads a task from a preset; see `keras_hub.models.Task.from_preset`."""
        check_preset(preset)
        return super().from_preset(preset, load_weights, **kwargs)  # type: ignore[misc]


def _map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """Maps the leaves of tuples and dictionaries. A list counts as one array, as in `tf.data`."""
    if isinstance(structure, tuple):
        return tuple(_map_leaves(function, part) for part in structure)
    if isinstance(structure, Mapping):
        return {name: _map_leaves(function, part) for name, part in structure.items()}
    return function(structure)


def _leaves(structure: Any) -> list[Any]:
    found: list[Any] = []
    _map_leaves(found.append, structure)
    return found


def _length(arrays: Any) -> int:
    return int(_leaves(arrays)[0].shape[0])


def _tensors(structure: Any) -> Any:
    def convert(values: Any) -> tf.Tensor:
        rows = list(values) if isinstance(values, (list, tuple)) else []
        if rows and all(isinstance(row, (list, tuple)) for row in rows) and len({len(row) for row in rows}) > 1:
            # Lists of choices may differ in length. Pad them with empty strings, which stand for missing choices.
            longest = max(map(len, rows))
            values = [[*row, *[""] * (longest - len(row))] for row in rows]
        return tf.convert_to_tensor(values)

    return _map_leaves(convert, structure)


def _batches(arrays: tuple[Any, ...], batch_size: int | None, shuffle: bool = False) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    if shuffle:
        dataset = dataset.shuffle(max(_length(arrays), 1))
    return dataset.batch(batch_size or DEFAULT_BATCH_SIZE)


@contextlib.contextmanager
def _unused_pooler_ignored() -> Iterator[None]:
    """Hides Keras' warning that most tasks, which read the sequence output, leave BERT's pooler as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Gradients do not exist for variables .*pooler/kernel")
        yield
