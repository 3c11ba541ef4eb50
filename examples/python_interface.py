"""Loads a fine-tuned model: python examples/python_interface.py classifier "服务很好" "又贵又慢"."""

import sys

import ambert_tf  # before TensorFlow, whose start-up messages it hides

# isort: split
import tensorflow as tf

model = ambert_tf.load(sys.argv[1])
texts = sys.argv[2:]
for tokens, prediction in zip(model.tokenize(texts), model.predict(texts), strict=True):
    print(tokens, prediction, sep="\n")
print("fine [CLS] vector:", model.encode(texts)["fine"][0].cls[:4])
print("coarse attention, layer 1, head 1:", model.attention(texts)["coarse"][0][0, 0], sep="\n")
for prediction in model.predict_dataset(tf.data.Dataset.from_tensor_slices(texts)):
    print(prediction["label"].numpy().decode())
