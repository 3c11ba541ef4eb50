"""Classifies texts with a SavedModel, using only TensorFlow and TensorFlow Text.

    echo '["房间很干净。", "太失望了！"]' | python demo/query_saved_model.py output/demo/saved_model

Reads a JSON list of texts from standard input and writes a JSON list with the label and probability of each.
"""

import json
import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops in the graph

model = tf.saved_model.load(sys.argv[1])
outputs = model.signatures["serving_default"](text=tf.constant(json.load(sys.stdin)))
answers = [
    {"label": label.decode(), "probability": max(probabilities)}
    for label, probabilities in zip(
        outputs["label"].numpy().tolist(), outputs["probabilities"].numpy().tolist(), strict=True
    )
]
json.dump(answers, sys.stdout)
