"""`AmbertBackbone`: AMBERT, its variants AMBERT-Combo and AMBERT-Hybrid (§3.4), and BERT on a single grain."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.utils.preset_utils import register_presets

from ambert_tf.models.config import KERAS_NAMES, ModelConfig
from ambert_tf.models.embeddings import TokenEmbedding
from ambert_tf.models.grain_encoder import GrainEncoder, Weights
from ambert_tf.models.layers import dropout_seed
from ambert_tf.models.local_attention import initialize_locally
from ambert_tf.models.preset_files import check_preset
from ambert_tf.presets import built_in_presets

# Prefix of the paths of a backbone's variables, whatever the model's name. Checkpoints rely on it.
VARIABLE_SCOPE = "backbone"


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertBackbone(keras_hub.models.Backbone):
    """An AMBERT encoder network, one of its variants, or a BERT.

    A text is represented by two sequences of token ids, one fine-grained and one coarse-grained. `model_type` selects
    how they are encoded:

    - `"ambert"`: one Transformer encodes the two sequences separately. Only the token embeddings differ.
    - `"ambert_combo"`: two Transformers without shared weights, one per grain.
    - `"ambert_hybrid"`: one Transformer encodes the concatenation of both sequences, eq. (3).
    - `"bert_fine"`, `"bert_coarse"`: a BERT on one of the grains.

    Arguments that KerasHub's `BertBackbone` also has are named as they are there.

    Args:
      vocabulary_size: int. The size of the fine vocabulary.
      coarse_vocabulary_size: int. The size of the coarse vocabulary; unused by `"bert_fine"`.
      model_type: string. One of the five above.
      num_layers: int. The number of Transformer layers.
      num_heads: int. The number of attention heads per layer. `hidden_dim` must be a multiple of it.
      hidden_dim: int. The size of the Transformer layers and of the pooler.
      intermediate_dim: int. The size of the first feed-forward layer.
      activation: string. `"gelu"` (exact), `"gelu_new"` (tanh approximation) or `"relu"`.
      dropout: float. Dropout probability of embeddings and layers.
      attention_dropout: float. Dropout probability of attention weights.
      max_sequence_length: int. The number of position embeddings.
      num_segments: int. The number of segment ids.
      initializer_range: float. Standard deviation of the initial weights.
      layer_norm_epsilon: float. Added to the variance in layer normalization.
      classifier_pooling: string. What `AmbertTextClassifier` and `AmbertMultipleChoice` classify: the pooled output of
        `[CLS]` (`"cls"`, as in BERT), or the mean of a grain's sequence output over all tokens (`"mean"`).
      attention_initializer: string. `"random"`, as in BERT, or `"local"`, which initializes the first layer so that it
        attends to neighbouring tokens. Pre-training then needs fewer steps.
      seed: int. Seed of the initial weights.
      static_shapes: bool. Whether to keep padding in training, which XLA requires. Otherwise, padding is removed in
        training, and shapes change from batch to batch.
      dtype: string or `keras.DTypePolicy`, such as `"mixed_bfloat16"`. Softmax, layer normalization and losses are
        always computed in float32.

    The input is a dictionary with, for each grain g that the model reads, `g_input_ids` and `g_segment_ids`, int32
    [batch, g_length]. Id 0 is padding. The output is a dictionary with, for each grain, `g_sequence_output`, [batch,
    g_length, hidden_dim], undefined at padding in training, and `g_pooled_output`, [batch, hidden_dim].

    Attributes:
      config: `ModelConfig`, the model's sizes.
      grains: the grains that the model reads.
      classification_grains: the grains whose `[CLS]` gets a classification head. These are both grains for `ambert`
        and `ambert_combo`. AMBERT-Hybrid is fine-tuned like BERT (§3.4), on the fine `[CLS]`.
      static_shapes: as passed to the constructor.

    Example:

    ```python
    input_data = {
        "fine_input_ids": np.array([[2, 17, 21, 35, 3, 0]]),
        "fine_segment_ids": np.zeros((1, 6), "int32"),
        "coarse_input_ids": np.array([[2, 120, 35, 3]]),
        "coarse_segment_ids": np.zeros((1, 4), "int32"),
    }
    backbone = ambert_tf.AmbertBackbone(
        vocabulary_size=100,
        coarse_vocabulary_size=150,
        num_layers=2,
        num_heads=2,
        hidden_dim=128,
        intermediate_dim=512,
    )
    backbone(input_data)["coarse_sequence_output"]  # [1, 4, 128]
    backbone(input_data, grains=("fine",))["fine_pooled_output"]  # AMBERT-Single: BERT's cost

    # Pre-trained weights.
    backbone = ambert_tf.AmbertBackbone.from_preset("./my_preset")
    ```
    """

    def __init__(
        self,
        vocabulary_size: int,
        coarse_vocabulary_size: int = 0,
        model_type: str = "ambert",
        num_layers: int = 12,
        num_heads: int = 12,
        hidden_dim: int = 768,
        intermediate_dim: int = 3072,
        activation: str = "gelu",
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        max_sequence_length: int = 512,
        num_segments: int = 2,
        initializer_range: float = 0.02,
        layer_norm_epsilon: float = 1e-12,
        classifier_pooling: str = "cls",
        attention_initializer: str = "random",
        seed: int = 0,
        static_shapes: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        config = ModelConfig(**{name: _plain(arguments[argument]) for name, argument in KERAS_NAMES.items()})
        config.validate("AmbertBackbone")
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

        # === Layers ===
        separate = config.model_type == "ambert_combo"
        self.encoders: dict[str, GrainEncoder] = {}
        with keras.name_scope(VARIABLE_SCOPE):
            for grains in [(grain,) for grain in config.grains] if separate else [config.grains]:
                name = f"{grains[0]}_bert" if separate else "bert"
                encoder = GrainEncoder(config, grains, config.one_sequence, seed, name=name, dtype=policy)
                if separate:
                    with keras.name_scope(name):
                        encoder.build_parts()
                else:
                    encoder.build_parts()
                if config.attention_initializer == "local":
                    initialize_locally(encoder)
                self.encoders |= dict.fromkeys(grains, encoder)

        # === Functional Model ===
        # A functional model, although `call` is overridden: once a process has created a functional backbone, KerasHub
        # makes Functional the base class of `Backbone`, and subclassed backbones stop working.
        self.config = config
        self.grains = config.grains
        self.static_shapes = static_shapes
        inputs = {
            f"{grain}_{name}": keras.Input((None,), dtype="int32", name=f"{grain}_{name}")
            for grain in config.grains
            for name in ("input_ids", "segment_ids")
        }
        super().__init__(inputs=inputs, outputs=self.call(inputs), dtype=policy, **kwargs)
        # Convert NumPy inputs to tensors. Functional.call would do this, but it is overridden.
        self._convert_input_args = True

        # === Config ===
        self.seed = seed
        self.classification_grains = ("fine",) if config.one_sequence else config.grains
        self.vocabulary_size = config.vocab_size
        self.hidden_dim = config.hidden_size
        self.num_layers = config.num_hidden_layers
        self.max_sequence_length = config.max_position_embeddings

    @classmethod
    def from_model_config(cls, config: ModelConfig, **kwargs: Any) -> "AmbertBackbone":
        """Returns the backbone that a `config.json` describes.

        Args:
          config: the model's sizes.
          **kwargs: `seed`, `static_shapes`, `dtype` and `name`, as in the constructor.
        """
        return cls(**config.to_keras(), **kwargs)

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True, **kwargs: Any) -> "AmbertBackbone":
        """Loads a backbone from a preset; see `keras_hub.models.Backbone.from_preset`."""
        check_preset(preset)
        return super().from_preset(preset, load_weights, **kwargs)

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool = False,
        grains: Iterable[str] | None = None,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Encodes both grains, or only the given ones. AMBERT with `grains=("fine",)` is AMBERT-Single.

        Args:
          inputs: see the class. Only the inputs of the encoded grains are required. Other keys are ignored.
          training: whether to apply dropout.
          grains: the grains to return. Defaults to all.
          seed: dropout seed, int32 [2]. Defaults to a random one. The same seed drops the same elements.

        Returns:
          The output dictionary described in the class docstring.
        """
        return self._encode(inputs, tuple(grains or self.grains), dropout_seed(training, seed))[0]

    def attention_weights(self, inputs: Mapping[str, tf.Tensor]) -> Weights:
        """Returns the attention weights of each layer, [batch, heads, g_length, g_length], by grain.

        AMBERT-Hybrid has a single sequence, fine tokens first, and returns its weights under both grains.
        """
        return self._encode(inputs, self.grains, None, return_weights=True)[1]

    def _encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None,
        return_weights: bool = False,
    ) -> tuple[dict[str, tf.Tensor], Weights]:
        read = {
            f"{grain}_{name}": inputs[f"{grain}_{name}"]
            for grain in (self.grains if self.config.one_sequence else grains)
            for name in ("input_ids", "segment_ids")
        }
        separate = self.config.model_type == "ambert_combo"
        outputs: dict[str, tf.Tensor] = {}
        weights: Weights = {}
        for index, encoded in enumerate([(grain,) for grain in grains] if separate else [grains]):
            fold = separate and seed is not None
            result = self.encoders[encoded[0]](
                read,
                grains=encoded,
                seed=tf.random.experimental.stateless_fold_in(seed, index) if fold else seed,
                static_shapes=self.static_shapes,
                return_weights=return_weights,
                training=seed is not None,
            )
            if return_weights:
                weights |= result[1]
                result = result[0]
            outputs |= result
        return outputs, weights

    def compute_output_spec(
        self, inputs: Mapping[str, keras.KerasTensor], grains: Iterable[str] | None = None, **kwargs: Any
    ) -> dict[str, keras.KerasTensor]:
        outputs: dict[str, keras.KerasTensor] = {}
        for grain in grains or self.grains:
            outputs |= self.encoders[grain].compute_output_spec(inputs, (grain,))
        return outputs

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` reads only those of the grains that it encodes."""
        return None

    def token_table(self, grain: str) -> keras.Variable:
        """Returns a grain's token embeddings [vocab, hidden_dim], which are tied to the masked-LM output."""
        return self.encoders[grain].embeddings.token_tables[grain]

    @property
    def token_embedding(self) -> TokenEmbedding:
        """The token embedding layer of the fine grain or, for `bert_coarse`, of the coarse grain."""
        return self.grain_token_embedding(self.grains[0])

    def grain_token_embedding(self, grain: str) -> TokenEmbedding:
        """Returns the token embedding layer of a grain."""
        return TokenEmbedding(self.encoders[grain].embeddings, grain)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.config.to_keras(),
            "seed": self.seed,
            "static_shapes": self.static_shapes,
        }


def _plain(value: Any) -> Any:
    """Returns a NumPy number as Python's, which JSON and the checks of `ModelConfig` accept."""
    return value.item() if isinstance(value, np.generic) else value


register_presets(
    {name: {"metadata": {"path": "ambert"}, "kaggle_handle": path} for name, path in built_in_presets().items()},
    AmbertBackbone,
)
