"""The parameters of a BERT, with their names in this project, in Google's checkpoints and in Hugging Face's."""

from typing import NamedTuple

import numpy as np

from ambert_tf.models.config import ModelConfig

ENCODER, POOLER, MASKED_LM, NEXT_SENTENCE = "encoder", "pooler", "masked-LM head", "next-sentence head"
REQUIRED_PART = ENCODER


class Parameter(NamedTuple):
    """One parameter of a `bert_fine` with its pre-training heads.

    Attributes:
      path: the variable's path in this project.
      google: its name in a checkpoint of google-research/bert.
      shape: its shape in this project. The first axis of a matrix is the input.
      part: `ENCODER`, `POOLER`, `MASKED_LM` or `NEXT_SENTENCE`.
      layer: the index of its Transformer layer, -1 for other parameters.
    """

    path: str
    google: str
    shape: tuple[int, ...]
    part: str = ENCODER
    layer: int = -1

    @property
    def hugging_face(self) -> str:
        """Its name in a state dictionary of transformers' `BertForPreTraining`."""
        head, _, last = self.google.rpartition("/")
        if last in ("output_bias", "output_weights"):
            last = "weight" if last == "output_weights" else "bias"
        elif head.endswith("embeddings") and last != "LayerNorm":
            last = f"{last}/weight"
        else:
            last = {"kernel": "weight", "gamma": "weight", "beta": "bias"}.get(last, last)
        return f"{head}/{last}".replace("/layer_", "/layer/").replace("/", ".")

    def to_google(self, value: np.ndarray) -> np.ndarray:
        """Converts a value to the layout of Google's checkpoints, or back."""
        return value.T if self.part == NEXT_SENTENCE else value

    def to_hugging_face(self, value: np.ndarray) -> np.ndarray:
        """Converts a value to the layout of PyTorch's linear layers, with the output axis first, or back."""
        return value.T if self.path.endswith("/kernel") else value


def bert_parameters(config: ModelConfig) -> list[Parameter]:
    """Returns the parameters of a BERT in the order of computation."""
    size = config.hidden_size
    embeddings = "backbone/embeddings/"
    found = [
        Parameter(embeddings + "fine_token_embeddings", "bert/embeddings/word_embeddings", (config.vocab_size, size)),
        Parameter(
            embeddings + "position_embeddings",
            "bert/embeddings/position_embeddings",
            (config.max_position_embeddings, size),
        ),
        Parameter(
            embeddings + "segment_embeddings",
            "bert/embeddings/token_type_embeddings",
            (config.type_vocab_size, size),
        ),
        *_layer_norm(embeddings + "layer_norm", "bert/embeddings/LayerNorm", size),
    ]
    for index in range(config.num_hidden_layers):
        found += _layer(config, index)
    found += _dense("backbone/pooler", "bert/pooler/dense", size, size, POOLER)
    head = "cls/predictions/"
    found += [
        *_dense("masked_lm_head/transform", head + "transform/dense", size, size, MASKED_LM),
        *_layer_norm("masked_lm_head/layer_norm", head + "transform/LayerNorm", size, MASKED_LM),
        Parameter("masked_lm_head/fine_output_bias", head + "output_bias", (config.vocab_size,), MASKED_LM),
        Parameter("next_sentence_head/kernel", "cls/seq_relationship/output_weights", (size, 2), NEXT_SENTENCE),
        Parameter("next_sentence_head/bias", "cls/seq_relationship/output_bias", (2,), NEXT_SENTENCE),
    ]
    return found


def _layer(config: ModelConfig, index: int) -> list[Parameter]:
    size, intermediate = config.hidden_size, config.intermediate_size
    ours, google = f"backbone/encoder/layer_{index}", f"bert/encoder/layer_{index}"
    found: list[Parameter] = []
    for name in ("query", "key", "value"):
        found += _dense(f"{ours}/attention/{name}", f"{google}/attention/self/{name}", size, size, layer=index)
    found += _dense(f"{ours}/attention/output", f"{google}/attention/output/dense", size, size, layer=index)
    found += _layer_norm(f"{ours}/attention_layer_norm", f"{google}/attention/output/LayerNorm", size, layer=index)
    found += _dense(f"{ours}/intermediate", f"{google}/intermediate/dense", size, intermediate, layer=index)
    found += _dense(f"{ours}/output", f"{google}/output/dense", intermediate, size, layer=index)
    found += _layer_norm(f"{ours}/output_layer_norm", f"{google}/output/LayerNorm", size, layer=index)
    return found


def _dense(ours: str, google: str, inputs: int, outputs: int, part: str = ENCODER, layer: int = -1) -> list[Parameter]:
    return [
        Parameter(f"{ours}/kernel", f"{google}/kernel", (inputs, outputs), part, layer),
        Parameter(f"{ours}/bias", f"{google}/bias", (outputs,), part, layer),
    ]


def _layer_norm(ours: str, google: str, size: int, part: str = ENCODER, layer: int = -1) -> list[Parameter]:
    names = ("gamma", "beta")
    return [Parameter(f"{ours}/{name}", f"{google}/{name}", (size,), part, layer) for name in names]
