import pytest

from ambert_tf.analysis.tokens import describe_statistics, token_statistics
from ambert_tf.errors import InputError
from tests.tokenizers import chinese_tokenizer, english_tokenizer


def test_statistics_of_chinese_words():
    # 南京市 长江大桥 | 中国 人民 的 | no token
    found = token_statistics(chinese_tokenizer(), ["南京市长江大桥", "中国人民的", ""])
    assert (found["texts"], found["fine_tokens"], found["coarse_tokens"], found["words"]) == (2, 12, 5, 4)
    assert found["words_share"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["words_share_of_all"] == pytest.approx(4 / 5)
    assert found["fine_per_words"] == pytest.approx(11 / 4)
    assert found["coarse_sizes"] == pytest.approx({"1": 0.2, "2": 0.4, "3": 0.2, "4": 0.2})
    assert "83.3 %, average over texts (Table 9)" in describe_statistics(found)


def test_statistics_of_english_phrases():
    # [new york times] [city] | [ice cream] [of] [unknown]
    found = token_statistics(english_tokenizer(), ["New York Times city", "ice cream of 北"])
    assert (found["fine_tokens"], found["coarse_tokens"], found["phrases"]) == (8, 5, 2)
    assert found["phrases_share"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["unknown_share"] == pytest.approx({"fine": 1 / 8, "coarse": 1 / 5})


def test_texts_without_tokens_are_an_error():
    with pytest.raises(InputError, match="the texts have no tokens"):
        token_statistics(chinese_tokenizer(), ["", " "])
