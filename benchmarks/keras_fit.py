"""Compares the time per `fit` step of `bert_fine` and of KerasHub's BERT with the same weights, in one run.

    python benchmarks/keras_fit.py --config=mini --batch_size=32 --steps=30

Both models get the same optimizer and the same token ids, half of which are padding, as in batches of short texts.
Prints the median seconds per step of each model, their ratio, and the maximum difference of the hidden states.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("config", "mini", "Model size.")
flags.DEFINE_integer("vocab_size", 21128, "Size of the fine vocabulary.")
flags.DEFINE_integer("batch_size", 32, "Sequences per step.")
flags.DEFINE_integer("seq_length", 128, "Length that sequences are padded to.")
flags.DEFINE_integer("steps", 30, "Timed steps of each model, in alternating rounds of 5.")
flags.DEFINE_float("real", 0.5, "Mean fraction of tokens that are not padding.")


def batches(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns ids [batch, length] and labels; lengths are uniform around `--real`."""
    random = np.random.default_rng(0)
    size, length = FLAGS.batch_size, FLAGS.seq_length
    found = []
    for _ in range(count):
        lengths = np.clip(random.normal(FLAGS.real, 0.2, size) * length, 4, length).astype(int)
        lengths[0] = length  # both pad to the longest
        ids = random.integers(5, FLAGS.vocab_size, (size, length)) * (np.arange(length) < lengths[:, None])
        found.append((ids.astype(np.int32), random.integers(0, 2, size).astype(np.int32)))
    return found


def main(argv: list[str]) -> None:
    """Runs both models and prints the ratio."""
    del argv
    import keras
    import keras_hub
    import tensorflow as tf

    import ambert_tf
    from ambert_tf.conversion.keras_hub_presets import keras_hub_variables
    from ambert_tf.models.bert_optimizer import BertAdamW
    from ambert_tf.models.config import ModelConfig

    config = ModelConfig.preset(FLAGS.config, FLAGS.vocab_size, model_type="bert_fine", hidden_act="gelu_new")
    bert = keras_hub.models.BertBackbone(
        config.vocab_size, config.num_hidden_layers, config.num_attention_heads, config.hidden_size,
        config.intermediate_size, max_sequence_length=config.max_position_embeddings,
    )  # fmt: skip
    ours = ambert_tf.AmbertBackbone.from_model_config(config)
    weights = {variable.path: variable for variable in ours.weights}
    for path, variable in keras_hub_variables(bert).items():
        variable.assign(np.reshape(weights[path], variable.shape))

    def their_inputs(ids: Any) -> dict[str, Any]:
        return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": np.not_equal(ids, 0).astype(np.int32)}

    def our_inputs(ids: Any) -> dict[str, Any]:
        return {"fine_input_ids": ids, "fine_segment_ids": 0 * ids}

    data = batches(5)
    ids = data[0][0]
    hidden = bert(their_inputs(ids))["sequence_output"].numpy()[ids != 0]
    difference = np.abs(ours(our_inputs(ids))["fine_sequence_output"].numpy()[ids != 0] - hidden).max()
    models = {
        "KerasHub": (keras_hub.models.BertTextClassifier(bert, 2), their_inputs),
        "ours": (ambert_tf.AmbertTextClassifier(ours, 2), our_inputs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    run: dict[str, Callable[[], Any]] = {}
    for name, (model, inputs) in models.items():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if name == "KerasHub" else "auto"
        model.compile(BertAdamW(3e-5), loss, jit_compile=False)
        dataset = tf.data.Dataset.from_generator(
            lambda inputs=inputs: ((inputs(ids), labels) for ids, labels in data),
            output_signature=(
                {key: tf.TensorSpec([None, None], tf.int32) for key in inputs(ids)}, tf.TensorSpec([None], tf.int32),
            ),
        ).cache().prefetch(2)  # fmt: skip
        run[name] = functools.partial(model.fit, dataset, verbose=0)
        run[name]()
    for _ in range(max(FLAGS.steps // len(data), 1)):
        for name, epoch in run.items():
            start = time.perf_counter()
            epoch()
            seconds[name].append((time.perf_counter() - start) / len(data))
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"maximum difference of hidden states: {difference:.1e}")
    for name, value in median.items():
        print(f"{name:<9} {value:.3f} s per step")
    print(f"ratio     {median['ours'] / median['KerasHub']:.2f}")


if __name__ == "__main__":
    app.run(main)
