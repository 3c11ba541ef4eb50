"""KerasHub's own checks of a model family, on our classes.

Not run, because they do not apply: `run_quantization_test` and the mixed-precision part of `run_backbone_test` look for
Keras' own layer types and expect softmax and layer normalization in the compute dtype, ours are float32 on purpose;
`run_preprocessor_test` of the masked-LM preprocessor compares two calls, which mask at random; the part of
`run_task_test` on `_inputs_struct` is for the text classifier, since other preprocessors return more than the model takes.
"""

import numpy as np
import pytest

import ambert_tf
from tests.tokenizers import chinese_tokenizer

test_case = pytest.importorskip("keras_hub.src.tests.test_case")  # needs grain

TEXTS = ["南京市长江大桥", "中国人民的生活"]


class KerasHubCases(test_case.TestCase):
    def setUp(self):
        self.tokenizer = ambert_tf.AmbertTokenizer(chinese_tokenizer())
        self.init_kwargs = {"tokenizer": self.tokenizer, "sequence_length": 16, "static_shapes": True}
        self.backbone_kwargs = {
            "vocabulary_size": self.tokenizer.vocabulary_size(),
            "coarse_vocabulary_size": self.tokenizer.vocabulary_size(grain="coarse"),
            "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24, "max_sequence_length": 20,
        }  # fmt: skip

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
        self.run_preprocessor_test(
            cls=ambert_tf.AmbertTextClassifierPreprocessor,
            init_kwargs=self.init_kwargs,
            input_data=(TEXTS, [1, 0], [1.0, 1.0]),
            token_id_key="fine_input_ids",
        )

    def test_text_classifier(self):
        self.run_task_test(
            cls=ambert_tf.AmbertTextClassifier,
            init_kwargs={
                "backbone": ambert_tf.AmbertBackbone(**self.backbone_kwargs),
                "preprocessor": ambert_tf.AmbertTextClassifierPreprocessor(**self.init_kwargs),
                "num_classes": 2,
            },
            train_data=(TEXTS, [1, 0]),
            expected_output_shape=(2, 2),
        )
