"""Compares the time per `fit` step of `bert_fine` and of KerasHub's BERT, and of their encoder layers.

    python benchmarks/keras_fit.py [--config=mini] [--batch_size=32] [--steps=30] [--real=0.5]

Both models get the same token ids, half of them padding as in batches of short texts, with the same optimizer, loss and
metric. KerasHub's BERT is measured without XLA and, unless --noxla is given, with XLA, KerasHub's default. The batches
have one shape, so XLA compiles once. Prints the largest difference of the hidden states, seconds per step of each model
(median) with the ratios, and the time of a forward and backward pass per encoder layer, without padding and with it.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import app, flags
from common import machine

FLAGS = flags.FLAGS
flags.DEFINE_string("config", "mini", "Model size.")
flags.DEFINE_integer("vocab_size", 21128, "Size of the fine vocabulary.")
flags.DEFINE_integer("batch_size", 32, "Sequences per step.")
flags.DEFINE_integer("seq_length", 128, "Length that sequences are padded to.")
flags.DEFINE_integer("steps", 30, "Timed steps of each model, in alternating rounds of 10.")
flags.DEFINE_float("real", 0.5, "Mean fraction of tokens that are not padding.")
flags.DEFINE_bool("xla", True, "Also measure KerasHub's BERT with XLA.")

OURS, KERAS_HUB, KERAS_HUB_XLA = "ours", "KerasHub", "KerasHub, XLA"
STEPS_PER_EPOCH = 10


def token_ids(batches: int, real: float) -> np.ndarray:
    """Returns int32 [batches, batch, length]; 0 is padding, and lengths are normally distributed around `real`."""
    random = np.random.default_rng(0)
    shape = (batches, FLAGS.batch_size)
    lengths = np.clip(random.normal(real, 0.2, shape) * FLAGS.seq_length, 4, FLAGS.seq_length).astype(int)
    if real >= 1:
        lengths[:] = FLAGS.seq_length
    ids = random.integers(5, FLAGS.vocab_size, (*shape, FLAGS.seq_length))
    return (ids * (np.arange(FLAGS.seq_length) < lengths[..., None])).astype(np.int32)


def their_inputs(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the inputs of KerasHub's BERT."""
    return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": (ids != 0).astype(np.int32)}


def our_inputs(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the inputs of a `bert_fine`."""
    return {"fine_input_ids": ids, "fine_segment_ids": 0 * ids}


def median_seconds(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Returns the median seconds of each function over rounds that alternate, after one call that is not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def print_times(what: str, seconds: Mapping[str, float], steps: int) -> None:
    """Prints milliseconds of each, and the ratios of ours to the others."""
    for name, value in seconds.items():
        ratio = "" if name == OURS else f"   ours / {name} {seconds[OURS] / value:.2f}"
        print(f"{what}, {name:<13} {1000 * value / steps:8.1f} ms{ratio}", flush=True)


def compare_models(config: Any) -> None:
    """Compares hidden states and `fit` of classifiers on both BERTs."""
    import keras
    import keras_hub
    import tensorflow as tf

    import ambert_tf
    from ambert_tf.conversion.keras_hub_presets import keras_hub_variables
    from ambert_tf.models.bert_optimizer import BertAdamW

    def keras_hub_bert() -> Any:
        return keras_hub.models.BertBackbone(
            config.vocab_size, config.num_hidden_layers, config.num_attention_heads, config.hidden_size,
            config.intermediate_size, max_sequence_length=config.max_position_embeddings,
        )  # fmt: skip

    backbone, bert = ambert_tf.AmbertBackbone.from_model_config(config), keras_hub_bert()
    weights = {variable.path: variable for variable in backbone.weights}
    for path, variable in keras_hub_variables(bert).items():
        variable.assign(np.reshape(weights[path], variable.shape))
    ids = token_ids(STEPS_PER_EPOCH, FLAGS.real)
    labels = np.random.default_rng(1).integers(0, 2, ids.shape[:2]).astype(np.int32)
    hidden = bert(their_inputs(ids[0]))["sequence_output"].numpy()
    difference = np.abs(backbone(our_inputs(ids[0]))["fine_sequence_output"].numpy() - hidden)[ids[0] != 0].max()
    print(f"largest difference of hidden states {difference:.1e}, {np.mean(ids != 0):.0%} of the tokens are real")

    def epoch(model: Any, inputs: Callable[[np.ndarray], Any], loss: Any, jit_compile: bool) -> Callable[[], Any]:
        metrics = [keras.metrics.SparseCategoricalAccuracy()]
        model.compile(BertAdamW(3e-5), loss, metrics=metrics, jit_compile=jit_compile)
        dataset = tf.data.Dataset.from_tensor_slices((inputs(ids), labels)).prefetch(2)
        return functools.partial(model.fit, dataset, verbose=0)

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier = keras_hub.models.BertTextClassifier
    functions = {
        OURS: epoch(ambert_tf.AmbertTextClassifier(backbone, 2), our_inputs, "auto", False),
        KERAS_HUB: epoch(classifier(bert, 2), their_inputs, loss, False),
    }
    if FLAGS.xla:
        functions[KERAS_HUB_XLA] = epoch(classifier(keras_hub_bert(), 2), their_inputs, loss, True)
    seconds = median_seconds(functions, max(FLAGS.steps // STEPS_PER_EPOCH, 1))
    print_times("step of fit", seconds, STEPS_PER_EPOCH)


def compare_layers(config: Any, real: float) -> None:
    """Compares a training pass through the encoder layers alone: ours remove padding first, and restore it at last."""
    import keras
    import keras_hub
    import tensorflow as tf

    from ambert_tf.models.encoder import Encoder

    mask = tf.constant(token_ids(1, real)[0] != 0)
    shape = (*mask.shape, config.hidden_size)
    hidden = tf.random.stateless_normal(shape, (1, 2))
    upstream = tf.random.stateless_normal(shape, (3, 4)) * tf.cast(mask, tf.float32)[:, :, tf.newaxis]
    encoder = Encoder(config)
    encoder.build()
    layers = [
        keras_hub.layers.TransformerEncoder(
            config.intermediate_size, config.num_attention_heads, config.hidden_dropout_prob,
            activation=lambda x: keras.activations.gelu(x, approximate=True), layer_norm_epsilon=1e-12,
        )
        for _ in range(config.num_hidden_layers)
    ]  # fmt: skip

    def theirs(x: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            x = layer(x, padding_mask=mask, training=True)
        return x

    def ours(x: tf.Tensor) -> tf.Tensor:
        return encoder([x], [mask], seed=tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32))[0][0]

    def training_pass(encode: Callable[[tf.Tensor], tf.Tensor], variables: Callable[[], Any]) -> Callable[[], Any]:
        @functools.partial(tf.function, autograph=False)
        def run() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(hidden)
                loss = tf.reduce_sum(encode(hidden) * upstream)
            gradients = tape.gradient(loss, [hidden, *(variable.value for variable in variables())])
            return [tf.reduce_sum(gradient) for gradient in gradients]

        return run

    theirs(hidden)  # creates the variables
    functions = {
        OURS: training_pass(ours, lambda: encoder.trainable_variables),
        KERAS_HUB: training_pass(theirs, lambda: [v for layer in layers for v in layer.trainable_variables]),
    }
    what = f"per encoder layer, {np.mean(mask):.0%} real tokens"
    print_times(what, median_seconds(functions, FLAGS.steps), config.num_hidden_layers)


def main(argv: list[str]) -> None:
    """Compares the models and their layers."""
    del argv
    from ambert_tf.models.config import ModelConfig

    print(machine())
    config = ModelConfig.preset(FLAGS.config, FLAGS.vocab_size, model_type="bert_fine", hidden_act="gelu_new")
    compare_models(config)
    for real in (1.0, FLAGS.real):
        compare_layers(config, real)


if __name__ == "__main__":
    app.run(main)
