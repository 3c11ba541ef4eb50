"""A small checkpoint in the format published by google-research/bert, written with TensorFlow 1's Saver."""

import json

import numpy as np
import tensorflow as tf

CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 4,
    "initializer_range": 0.02,
    "intermediate_size": 6,
    "max_position_embeddings": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "type_vocab_size": 2,
    "vocab_size": 11,
}
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "南", "京", "市", "new", "york", "##s"]
# As listed by tf.train.list_variables for a published checkpoint.
SHAPES = {
    "bert/embeddings/LayerNorm/beta": (4,),
    "bert/embeddings/LayerNorm/gamma": (4,),
    "bert/embeddings/position_embeddings": (16, 4),
    "bert/embeddings/token_type_embeddings": (2, 4),
    "bert/embeddings/word_embeddings": (11, 4),
    "bert/encoder/layer_0/attention/output/LayerNorm/beta": (4,),
    "bert/encoder/layer_0/attention/output/LayerNorm/gamma": (4,),
    "bert/encoder/layer_0/attention/output/dense/bias": (4,),
    "bert/encoder/layer_0/attention/output/dense/kernel": (4, 4),
    "bert/encoder/layer_0/attention/self/key/bias": (4,),
    "bert/encoder/layer_0/attention/self/key/kernel": (4, 4),
    "bert/encoder/layer_0/attention/self/query/bias": (4,),
    "bert/encoder/layer_0/attention/self/query/kernel": (4, 4),
    "bert/encoder/layer_0/attention/self/value/bias": (4,),
    "bert/encoder/layer_0/attention/self/value/kernel": (4, 4),
    "bert/encoder/layer_0/intermediate/dense/bias": (6,),
    "bert/encoder/layer_0/intermediate/dense/kernel": (4, 6),
    "bert/encoder/layer_0/output/LayerNorm/beta": (4,),
    "bert/encoder/layer_0/output/LayerNorm/gamma": (4,),
    "bert/encoder/layer_0/output/dense/bias": (4,),
    "bert/encoder/layer_0/output/dense/kernel": (6, 4),
    "bert/pooler/dense/bias": (4,),
    "bert/pooler/dense/kernel": (4, 4),
    "cls/predictions/output_bias": (11,),
    "cls/predictions/transform/LayerNorm/beta": (4,),
    "cls/predictions/transform/LayerNorm/gamma": (4,),
    "cls/predictions/transform/dense/bias": (4,),
    "cls/predictions/transform/dense/kernel": (4, 4),
    "cls/seq_relationship/output_bias": (2,),
    "cls/seq_relationship/output_weights": (2, 4),
}


def values(seed=0):
    """Returns random values by Google's names."""
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def write_google_checkpoint(directory, tensors, config=CONFIG, vocab=VOCAB):
    """Writes `bert_model.ckpt` (with Adam's slots), `bert_config.json` and `vocab.txt`. Returns the prefix."""
    directory.mkdir()
    (directory / "bert_config.json").write_text(json.dumps({**config, "directionality": "bidi"}))
    (directory / "vocab.txt").write_text("".join(f"{token}\n" for token in vocab))
    prefix = str(directory / "bert_model.ckpt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in tensors.items():
            for suffix in ("", "/adam_m", "/adam_v"):
                tf.compat.v1.get_variable(name + suffix, initializer=value if not suffix else np.ones_like(value))
        tf.compat.v1.get_variable("global_step", initializer=np.int64(1000))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, prefix)
    return prefix


def read_all(prefix):
    """Returns all tensors of a checkpoint by name."""
    return {name: tf.train.load_variable(prefix, name) for name, _ in tf.train.list_variables(prefix)}
