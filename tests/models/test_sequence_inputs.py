"""Settings of preprocessors: wrong values, and changes after the first call."""

import pytest

import ambert_tf
from tests.tokenizers import chinese_tokenizer

TEXT = "商店里的乒乓球拍卖完了"


@pytest.fixture(scope="module")
def tokenizer():
    return ambert_tf.AmbertTokenizer(chinese_tokenizer())


def test_settings_may_change_after_a_call(tokenizer):
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)
    assert [value.shape[1] for value in preprocessor([TEXT]).values()] == [13, 13, 9, 9]
    preprocessor.coarse_sequence_length = 8
    preprocessor.static_shapes = True
    assert [value.shape[1] for value in preprocessor([TEXT]).values()] == [16, 16, 8, 8]


def test_wrong_settings_are_named(tokenizer):
    with pytest.raises(ValueError, match=r"`inputs` must be one of \('plain', 'idioms'\)\. Received: inputs='idiom'"):
        ambert_tf.AmbertMultipleChoicePreprocessor(tokenizer, inputs="idiom")
    with pytest.raises(ValueError, match=r"`inputs` must be one of \('plain', 'marked_spans'\)"):
        ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, inputs="idioms")
    with pytest.raises(ValueError, match=r"`doc_stride` must be at least 1\. Received: doc_stride=0"):
        ambert_tf.AmbertTokenClassifierPreprocessor(tokenizer, ("LOC",), doc_stride=0)
    with pytest.raises(ValueError, match="`doc_stride` must be at least 1"):
        ambert_tf.AmbertSpanExtractorPreprocessor(tokenizer, doc_stride=-1)
