"""`ModelConfig`, the contents of `config.json`."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import read_json_object
from ambert_tf.outputs import atomic_path

MODEL_TYPES = ("ambert", "ambert_combo", "ambert_hybrid", "bert_fine", "bert_coarse")
ACTIVATIONS = ("gelu", "gelu_new", "relu")
POOLINGS = ("cls", "mean")
ATTENTION_INITIALIZERS = ("random", "local")
CHOICES = {
    "model_type": MODEL_TYPES,
    "hidden_act": ACTIVATIONS,
    "classifier_pooling": POOLINGS,
    "attention_initializer": ATTENTION_INITIALIZERS,
}

# Settings that help in short pre-training (docs/results.md); `base` has the paper's values. In narrow layers, initial
# weights with a deviation of 0.02 shrink the signal, and those with hidden_size ** -0.5 do not. Small models underfit,
# and dropout slows them down. Without next-sentence prediction, [CLS] is not trained.
_SMALL: dict[str, Any] = {
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_pooling": "mean",
    "attention_initializer": "local",
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2, "initializer_range": 0.09, **_SMALL
    },
    "mini": {
        "num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "initializer_range": 0.06, **_SMALL
    },
    "small": {
        "num_hidden_layers": 4, "hidden_size": 512, "num_attention_heads": 8, "initializer_range": 0.045, **_SMALL
    },
    "base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12},
}  # fmt: skip

# The arguments of `AmbertBackbone`, named as in KerasHub's `BertBackbone`.
KERAS_NAMES = {
    "vocab_size": "vocabulary_size",
    "coarse_vocab_size": "coarse_vocabulary_size",
    "model_type": "model_type",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "hidden_size": "hidden_dim",
    "intermediate_size": "intermediate_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
    "initializer_range": "initializer_range",
    "layer_norm_eps": "layer_norm_epsilon",
    "classifier_pooling": "classifier_pooling",
    "attention_initializer": "attention_initializer",
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model's hyperparameters: the keys of BERT's `bert_config.json`, plus those below.

    `vocab_size` is the size of the fine vocabulary. `coarse_vocab_size` is 0 if the model has no coarse grain. As
    `hidden_act`, `gelu` is the exact function and `gelu_new` its tanh approximation. `layer_norm_eps` and
    `classifier_pooling` are Hugging Face's keys. The latter is what the classification heads read: with `cls`, the
    pooler's output for [CLS], as in BERT; with `mean`, the mean of the last layer over all tokens.
    `attention_initializer` only affects the initial weights: `random`, as in BERT, or `local`, with which the first
    layer attends to neighbouring tokens (`local_attention`).

    Example:
      >>> ModelConfig.preset("mini", vocab_size=21128, coarse_vocab_size=93763).hidden_size
      256
    """

    vocab_size: int
    coarse_vocab_size: int = 0
    model_type: str = "ambert"
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    classifier_pooling: str = "cls"
    attention_initializer: str = "random"

    @property
    def grains(self) -> tuple[str, ...]:
        """The grains whose sequences the model reads."""
        single = {"bert_fine": ("fine",), "bert_coarse": ("coarse",)}
        return single.get(self.model_type, ("fine", "coarse"))

    @property
    def one_sequence(self) -> bool:
        """Whether the model reads both grains as one sequence (AMBERT-Hybrid), so that neither can run alone."""
        return self.model_type == "ambert_hybrid"

    def grain_vocab_size(self, grain: str) -> int:
        """Returns the number of token embeddings of one grain."""
        return self.vocab_size if grain == "fine" else self.coarse_vocab_size

    @classmethod
    def preset(cls, name: str, vocab_size: int, coarse_vocab_size: int = 0, **changes: Any) -> "ModelConfig":
        """Returns the preset `tiny`, `mini`, `small` or `base` for the given vocabulary sizes.

        Raises:
          InputError: there is no such preset, or the resulting configuration is inconsistent.
        """
        if name not in PRESETS:
            raise InputError(f"config {name!r} is not a preset; the presets are {', '.join(PRESETS)}")
        sizes: dict[str, Any] = dict(PRESETS[name])
        sizes["intermediate_size"] = 4 * sizes["hidden_size"]
        sizes.update(changes, vocab_size=vocab_size, coarse_vocab_size=coarse_vocab_size)
        return cls(**sizes).validate(f"preset {name}")

    @classmethod
    def from_file(cls, path: str, flag: str = "config", **changes: Any) -> "ModelConfig":
        """Reads a `config.json` or BERT's `bert_config.json`, and ignores other keys.

        Without `model_type`, the type is `ambert` if the file has `coarse_vocab_size`, and `bert_fine` otherwise.

        Args:
          path: the file.
          flag: the flag that named the file, for error messages.
          **changes: values that override those of the file.

        Raises:
          InputError: the file is missing or is not a JSON object, or its values are inconsistent.
        """
        return cls.from_dict({**read_json_object(path, flag), **changes}, path)

    @classmethod
    def from_dict(cls, content: dict[str, Any], source: str = "config") -> "ModelConfig":
        """Creates a configuration from BERT's keys; see `from_file`."""
        if "vocab_size" not in content:
            raise InputError(f"{source}: the key vocab_size (size of the fine vocabulary) is missing")
        # Hugging Face's configurations have the model type "bert". Google's have no such key.
        if content.get("model_type", "bert") == "bert":
            content = {**content, "model_type": "ambert" if content.get("coarse_vocab_size") else "bert_fine"}
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in names}).validate(source)

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as a dictionary with BERT's keys."""
        return dataclasses.asdict(self)

    def to_keras(self) -> dict[str, Any]:
        """Returns the configuration as the arguments of `AmbertBackbone`."""
        return {argument: getattr(self, name) for name, argument in KERAS_NAMES.items()}

    @classmethod
    def from_keras(cls, arguments: Mapping[str, Any]) -> "ModelConfig":
        """Creates a configuration from the arguments of `AmbertBackbone`; others are ignored."""
        return cls(**{name: arguments[argument] for name, argument in KERAS_NAMES.items() if argument in arguments})

    def to_file(self, path: str) -> None:
        """Writes `config.json`."""
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=2)
            file.write("\n")

    def validate(self, source: str = "config") -> "ModelConfig":
        """Checks the values and returns the configuration itself.

        Raises:
          InputError: a value has the wrong type, is out of range, or contradicts another one.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "coarse_vocab_size" else 1
            if isinstance(field.default, float):
                right = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
                wanted = "a number in [0, 1)"
            elif isinstance(field.default, str):
                continue
            else:
                right = isinstance(value, int) and not isinstance(value, bool) and value >= least
                wanted = f"an integer of at least {least}"
            if not right:
                raise InputError(f"{source}: {field.name} is {value!r}; it must be {wanted}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                found = getattr(self, name)
                raise InputError(f"{source}: {name} is {found!r}; it must be one of {', '.join(choices)}")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"{source}: hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if "coarse" in self.grains and not self.coarse_vocab_size:
            raise InputError(f"{source}: model_type {self.model_type} needs coarse_vocab_size")
        return self
