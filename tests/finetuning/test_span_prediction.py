import numpy as np
import pytest

from ambert_tf.finetuning.span_examples import SpanExample, Windows
from ambert_tf.finetuning.span_prediction import find_answers, probabilities
from ambert_tf.models.task_config import TaskConfig
from tests.tokenizers import chinese_tokenizer

TASK = TaskConfig(
    task_name="squad1", form="spans", max_seq_length=16, max_coarse_seq_length=16,
    doc_stride=4, max_query_length=4,
)  # fmt: skip
SHORT = SpanExample("short", "好", "南京市长江大桥", ("长江",), (3, 5))
LONG = SpanExample("long", "好", "南京市长江大桥的商店里的乒乓球拍", ("乒乓",), (12, 14))


def windows(*examples):
    return Windows(chinese_tokenizer(), examples, TASK)


def logits(found, *high):
    """All logits -5 but those of (window, first context token, last one, height)."""
    values = np.full((len(found.data), 16, 2), -5.0, np.float32)
    for window, first, last, height in high:
        values[window, found.offset[window] + first, 0] = height
        values[window, found.offset[window] + last, 1] = height
    return values


def test_targets_are_fine_positions_of_the_answer():
    found = windows(SHORT, SpanExample("none", "好", "南京市", (), None))
    # [CLS] 好 [SEP] 南 京 市 长 江
    assert found.data.targets["start"].tolist() == [6, 0]
    assert found.data.targets["end"].tolist() == [7, 0]


def test_windows_without_the_whole_answer_have_none():
    found = windows(LONG)
    starts = found.data.targets["start"]
    assert len(starts) > 2
    for window, start in enumerate(starts):
        first, count = int(found.first_token[window]), len(found.starts[window])
        whole = first <= 12 and first + count >= 14
        assert start == (found.offset[window] + 12 - first if whole else 0)


def test_the_best_answer_is_sliced_out_of_the_context():
    found = windows(SHORT)
    answers = find_answers([SHORT], found, logits(found, (0, 3, 4, 2.0), (0, 0, 1, 1.0)))[0]
    # The start of one and the end of the other: 3 above 2, and 南京市长江 from the first to the fourth.
    assert [(a.text, a.score) for a in answers.best[:3]] == [("长江", 4.0), ("南京市长江", 3.0), ("南京", 2.0)]
    assert (answers.best[0].start, answers.best[0].end) == (9, 15)
    assert answers.null_score == -10.0
    assert answers.null_odds == -14.0


def test_an_answer_has_a_limit():
    found = windows(SHORT)
    answers = find_answers([SHORT], found, logits(found, (0, 0, 6, 9.0)), max_answer_length=6)[0]
    assert max(len(a.text) for a in answers.best) == 6


def test_a_start_counts_only_where_the_token_has_most_context():
    found = windows(LONG)
    token = 6
    inside = [w for w in range(len(found.data)) if 0 <= token - found.first_token[w] < len(found.starts[w])]
    assert len(inside) > 1
    high = [(w, token - found.first_token[w], token - found.first_token[w], 5.0 + w) for w in inside]
    answers = find_answers([LONG], found, logits(found, *high))[0]
    chosen = [w for w in inside if found.max_context[w][token - found.first_token[w]]]
    assert len(chosen) == 1
    assert answers.best[0].score == 2 * (5.0 + chosen[0])
    assert answers.best[0].text == "桥"


def test_whole_coarse_tokens():
    found = windows(SHORT)
    # 南京市 and 长江大桥 are words; 江 is inside one.
    answers = find_answers([SHORT], found, logits(found, (0, 4, 4, 9.0)), whole_coarse=True)[0]
    assert {a.text for a in answers.best} <= {"南京市", "长江", "大桥", "长江大桥", "南京市长江", "南京市长江大桥"}
    assert "江" not in {a.text for a in answers.best}


def test_probabilities():
    assert probabilities([]) == []
    assert probabilities([1000.0, 1000.0]) == [0.5, 0.5]
    assert sum(probabilities([3.0, 1.0, -2.0])) == pytest.approx(1)
