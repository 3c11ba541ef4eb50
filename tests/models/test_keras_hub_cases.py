"""Runs KerasHub's own test cases for model families on our classes.

The following parts are not run:

- Mixed precision and quantization in `run_backbone_test`, because they expect Keras' own layer types, and every output
  and layer in the compute dtype. Our layers keep softmax and layer normalization in float32.
  `test_family_classifier.py` tests both.
- The Grain part, because KerasHub runs it in pipelines without TensorFlow, but our tokenizer is a TensorFlow graph.
  `run_preprocessor_test` has such a part; `run_preprocessing_layer_test` covers the rest of it.
- `run_task_test` of `AmbertSpanExtractor`, because it expects the same outputs of `predict` with and without the
  preprocessor. Ours are answers with the preprocessor, because they need the text, and logits without it.
  `test_family_tasks.py` tests `fit` and `predict`.
"""

import sys
import types

import keras_hub  # noqa: F401  before the stub, which it must not see
import numpy as np

import ambert_tf
from tests.tokenizers import chinese_tokenizer

# KerasHub's test module imports this package, although only the Grain part needs it.
stub = "grain" not in sys.modules and sys.modules.setdefault("grain", types.ModuleType("grain"))
from keras_hub.src.tests import test_case  # noqa: E402

if stub:
    del sys.modules["grain"]

TEXTS = ["南京市长江大桥", "中国人民的生活"]
CHOICES = {
    "context": TEXTS,
    "question": ["长江", "中国"],
    "choices": [["好", "大桥", "的"], ["人民", "的", "好"]],
}


class KerasHubCases(test_case.TestCase):
    def setUp(self):
        self.tokenizer = ambert_tf.AmbertTokenizer(chinese_tokenizer())
        self.init_kwargs = {"tokenizer": self.tokenizer, "sequence_length": 16, "static_shapes": True}
        self.backbone_kwargs = {
            "vocabulary_size": self.tokenizer.vocabulary_size(),
            "coarse_vocabulary_size": self.tokenizer.vocabulary_size(grain="coarse"),
            "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24, "max_sequence_length": 20,
        }  # fmt: skip

    def run_grain_preprocessing_test(self, layer, input_data, expected_output):
        """Does nothing; see the module's docstring."""

    def test_backbone(self):
        inputs = {
            f"{grain}_{name}": np.ones((2, 5), "int32") for grain in ("fine", "coarse")
            for name in ("input_ids", "segment_ids")
        }  # fmt: skip
        self.run_backbone_test(
            cls=ambert_tf.AmbertBackbone,
            init_kwargs=self.backbone_kwargs,
            input_data=inputs,
            expected_output_shape={"fine_sequence_output": (2, 5, 16), "coarse_pooled_output": (2, 16)},
            run_mixed_precision_check=False,
            run_quantization_check=False,
        )
        self.run_model_saving_test(ambert_tf.AmbertBackbone, self.backbone_kwargs, inputs)

    def test_tokenizer(self):
        self.run_preprocessing_layer_test(
            cls=ambert_tf.AmbertTokenizer,
            init_kwargs={"tokenizer": chinese_tokenizer()},
            input_data=TEXTS,
            expected_detokenize_output=TEXTS,
        )

    def test_text_classifier_preprocessor(self):
        output = self.run_preprocessing_layer_test(
            cls=ambert_tf.AmbertTextClassifierPreprocessor,
            init_kwargs=self.init_kwargs,
            input_data=(TEXTS, [1, 0], [1.0, 1.0]),
            return_output=True,
        )
        assert output[0]["fine_input_ids"].shape == (2, 16)

    def test_multiple_choice_preprocessor(self):
        output = self.run_preprocessing_layer_test(
            cls=ambert_tf.AmbertMultipleChoicePreprocessor,
            init_kwargs=self.init_kwargs,
            input_data=(CHOICES, [1, 0]),
            return_output=True,
        )
        assert output[0]["coarse_input_ids"].shape == (2, 3, 16)

    def test_masked_lm_preprocessor(self):
        x, y, _ = self.run_preprocessing_layer_test(
            cls=ambert_tf.AmbertMaskedLMPreprocessor,
            init_kwargs={**self.init_kwargs, "mask_selection_length": 5, "seed": 1},
            input_data=TEXTS,
            return_output=True,
        )
        assert x["fine_masked_lm_positions"].shape == y["fine"].shape == (2, 5)

    def task_kwargs(self, preprocessor, **changes):
        backbone = ambert_tf.AmbertBackbone(**self.backbone_kwargs)
        return {"backbone": backbone, "preprocessor": preprocessor, **changes}

    def test_text_classifier(self):
        preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(**self.init_kwargs)
        self.run_task_test(
            compile_kwargs={"run_eagerly": True},  # tracing six graphs takes most of the time
            cls=ambert_tf.AmbertTextClassifier,
            init_kwargs=self.task_kwargs(preprocessor, num_classes=3),
            train_data=(TEXTS, [1, 0]),
            expected_output_shape=(2, 3),
        )

    def test_multiple_choice(self):
        preprocessor = ambert_tf.AmbertMultipleChoicePreprocessor(**self.init_kwargs)
        self.run_task_test(
            compile_kwargs={"run_eagerly": True},  # tracing six graphs takes most of the time
            cls=ambert_tf.AmbertMultipleChoice,
            init_kwargs=self.task_kwargs(preprocessor),
            train_data=(CHOICES, [1, 0]),
            expected_output_shape=(2, 3),
        )

    def test_masked_lm(self):
        preprocessor = ambert_tf.AmbertMaskedLMPreprocessor(**self.init_kwargs, mask_selection_length=5, seed=1)
        sizes = {grain: self.tokenizer.vocabulary_size(grain) for grain in ("fine", "coarse")}
        self.run_task_test(
            compile_kwargs={"run_eagerly": True},  # tracing six graphs takes most of the time
            cls=ambert_tf.AmbertMaskedLM,
            init_kwargs=self.task_kwargs(preprocessor),
            train_data=(TEXTS,),
            expected_output_shape={grain: (2, 5, size) for grain, size in sizes.items()},
        )
