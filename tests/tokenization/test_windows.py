import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.tokenization.model_inputs import build_model_inputs
from ambert_tf.tokenization.windows import build_windows
from tests.tokenizers import chinese_tokenizer

CONTEXT = "南京市长江大桥的商店里的乒乓球拍卖完了,中国人民生活好" * 3


def windows(questions, contexts, **limits):
    values = {"max_seq_length": 24, "doc_stride": 8, "max_query_length": 6, **limits}
    return build_windows(chinese_tokenizer(), tf.constant(questions), tf.constant(contexts), **values)


def test_a_short_context_is_one_window_like_a_pair():
    found = windows(["好", "中国"], ["南京市长江大桥", "好"])
    pair = build_model_inputs(
        chinese_tokenizer(), tf.constant(["好", "中国"]), tf.constant(["南京市长江大桥", "好"]), max_seq_length=24
    )
    for name, values in pair.items():
        assert found[name].to_list() == values.to_list()
    assert found["window_example"].numpy().tolist() == [0, 1]
    assert found["context_offset"].numpy().tolist() == [3, 4]
    assert found["first_token"].numpy().tolist() == [0, 0]
    # Three bytes per character.
    assert found["context_starts"].to_list() == [[0, 3, 6, 9, 12, 15, 18], [0]]
    assert found["context_ends"].to_list() == [[3, 6, 9, 12, 15, 18, 21], [3]]
    assert found["max_context"].to_list() == [[1] * 7, [1]]


@pytest.mark.parametrize("stride", [1, 3, 8, 1000])
@pytest.mark.parametrize("coarse", [24, 16])
def test_windows_cover_a_long_context_at_both_grains(stride, coarse):
    contexts = [CONTEXT, "", "好" * 21, "好"]
    found = windows(["中国", "好", "", "长江大桥" * 9], contexts, doc_stride=stride, max_coarse_seq_length=coarse)
    tokens = chinese_tokenizer()(tf.constant(contexts))
    examples = found["window_example"].numpy()
    assert sorted(set(examples)) == [0, 1, 2, 3]
    for example in range(len(contexts)):
        own = np.flatnonzero(examples == example)
        starts = tokens.fine_starts.to_list()[example]
        best = {}
        for window in own:
            fine = found["fine_input_ids"].to_list()[window]
            offset, first = int(found["context_offset"][window]), int(found["first_token"][window])
            inside = found["context_starts"].to_list()[window]
            assert len(fine) <= 24
            assert len(found["coarse_input_ids"].to_list()[window]) <= coarse
            # The window contains exactly these tokens of the context, between [SEP] and [SEP].
            assert fine[offset:-1] == tokens.fine_ids.to_list()[example][first : first + len(inside)]
            assert inside == starts[first : first + len(inside)]
            # Both grains cover the same text: there are as many coarse tokens as contain the fine ones.
            held = tokens.fine_to_coarse.to_list()[example][first : first + len(inside)]
            segments = found["coarse_segment_ids"].to_list()[window]
            assert sum(segments) - 1 == len(set(held))
            for at in range(len(inside)):
                score = min(at, len(inside) - 1 - at) + 0.01 * len(inside)
                best.setdefault(first + at, []).append((score, found["max_context"].to_list()[window][at]))
        assert sorted(best) == list(range(len(starts)))
        for choices in best.values():
            assert [chosen for _, chosen in choices].count(1) == 1
            assert max(choices)[0] == next(score for score, chosen in choices if chosen)


def test_a_question_is_truncated_to_its_limit():
    found = windows(["长江大桥" * 9], ["好"], max_query_length=5)
    assert int(found["context_offset"][0]) <= 5 + 2


def test_in_a_graph_and_without_examples():
    signature = [tf.TensorSpec([None], tf.string)] * 2
    function = tf.function(
        lambda questions, contexts: build_windows(
            chinese_tokenizer(), questions, contexts, max_seq_length=24, doc_stride=8
        ),
        input_signature=signature,
    )
    found = function(tf.constant(["好"]), tf.constant([CONTEXT]))
    assert len(found["window_example"]) > 2
    assert function(tf.constant([], tf.string), tf.constant([], tf.string))["fine_input_ids"].nrows() == 0
