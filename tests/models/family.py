"""Small models of the KerasHub family, shared by their tests."""

import functools

import ambert_tf
from tests.tokenizers import chinese_tokenizer

TEXTS = ["南京市长江大桥", "中国人民的生活", "商店里的乒乓球拍卖完了", "好"]


@functools.cache
def family_tokenizer():
    return ambert_tf.AmbertTokenizer(chinese_tokenizer())


def backbone(model_type="ambert", **changes):
    tokenizer = family_tokenizer()
    return ambert_tf.AmbertBackbone(
        tokenizer.vocabulary_size(), tokenizer.vocabulary_size(grain="coarse"), model_type,
        num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=24, max_sequence_length=20, **changes,
    )  # fmt: skip


def classifier(num_classes=2, **changes):
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(family_tokenizer(), 16)
    return ambert_tf.AmbertTextClassifier(backbone(), num_classes, preprocessor, **changes)
