import dataclasses

import numpy as np
import pytest

from ambert_tf.finetuning.span_examples import SpanExample
from ambert_tf.finetuning.span_form import Answer, QuestionAnswers, SpanForm, find_answers
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.declaration import Question
from ambert_tf.tasks.registry import TASKS
from tests.tokenizers import chinese_tokenizer

CONFIG = TaskConfig(
    task_name="squad1", form="spans", max_seq_length=16, max_coarse_seq_length=16,
    doc_stride=4, max_query_length=4,
)  # fmt: skip
SHORT = SpanExample("short", Question("好", "南京市长江大桥"), ("长江",), (3, 5))
LONG = SpanExample("long", Question("好", "南京市长江大桥的商店里的乒乓球拍"), ("乒乓",), (12, 14))


def tokenized(*examples, config=CONFIG):
    return TokenizedExamples(Split("dev", ("squad.json",), examples, {}), config, chinese_tokenizer())


def of_windows(data, name):
    values = data.windows[name]
    return values.to_list() if hasattr(values, "to_list") else values.numpy().tolist()


def logits(data, *high):
    """Returns logits of -5, except for the given (window, first context token, last context token, value)."""
    values = np.full((len(data), 16, 2), -5.0, np.float32)
    offset = of_windows(data, "context_offset")
    for window, first, last, value in high:
        values[window, offset[window] + first, 0] = value
        values[window, offset[window] + last, 1] = value
    return values


def test_targets_are_fine_positions_of_the_answer():
    data = tokenized(SHORT, SpanExample("none", Question("好", "南京市"), (), None))
    # [CLS] 好 [SEP] 南 京 市 长 江
    assert data.targets["start"].tolist() == [6, 0]
    assert data.targets["end"].tolist() == [7, 0]


def test_windows_without_the_whole_answer_have_no_target():
    data = tokenized(LONG)
    starts = data.targets["start"]
    assert len(starts) > 2
    for window, start in enumerate(starts):
        first = of_windows(data, "first_token")[window]
        count = len(of_windows(data, "context_starts")[window])
        whole = first <= 12 and first + count >= 14
        assert start == (of_windows(data, "context_offset")[window] + 12 - first if whole else 0)


def test_windows_are_named_by_their_questions():
    data = tokenized(SHORT, LONG)
    assert data.describe([1, 2]) == "the examples with id long in squad.json"
    assert data.describe([1, 0]) == "the examples with id long, short in squad.json"


def test_the_best_answer_is_sliced_out_of_the_context():
    data = tokenized(SHORT)
    (found,) = find_answers(CONFIG, logits(data, (0, 3, 4, 2.0), (0, 0, 1, 1.0)), data)
    # The start of one answer and the end of the other: 2 + 1 for 南京市长江, from the first token to the fifth.
    assert [(a.text, a.score) for a in found.best[:3]] == [("长江", 4.0), ("南京市长江", 3.0), ("南京", 2.0)]
    assert (found.best[0].start, found.best[0].end) == (9, 15)
    assert found.null_score == -10.0
    assert found.final == "长江"


def test_answers_have_a_maximum_length():
    data = tokenized(SHORT)
    config = dataclasses.replace(CONFIG, max_answer_length=6)
    (found,) = find_answers(config, logits(data, (0, 0, 6, 9.0)), data)
    assert max(len(a.text) for a in found.best) == 6


def test_n_best_size_limits_answers_and_positions():
    data = tokenized(SHORT)
    values = logits(data, (0, 3, 4, 2.0), (0, 0, 1, 1.0))
    (found,) = find_answers(dataclasses.replace(CONFIG, n_best_size=2), values, data)
    assert [a.text for a in found.best] == ["长江", "南京市长江"]


def test_answers_start_only_in_the_window_with_most_context():
    data = tokenized(LONG)
    token, first_tokens = 6, of_windows(data, "first_token")
    lengths = [len(row) for row in of_windows(data, "context_starts")]
    inside = [w for w in range(len(data)) if 0 <= token - first_tokens[w] < lengths[w]]
    assert len(inside) > 1
    high = [(w, token - first_tokens[w], token - first_tokens[w], 5.0 + w) for w in inside]
    (found,) = find_answers(CONFIG, logits(data, *high), data)
    chosen = [w for w in inside if of_windows(data, "max_context")[w][token - first_tokens[w]]]
    assert len(chosen) == 1
    assert (found.best[0].text, found.best[0].score) == ("桥", 2 * (5.0 + chosen[0]))


def test_duplicate_answers_are_merged():
    twice = SpanExample("twice", Question("好", "长江和长江"), (), None)
    data = tokenized(twice)
    (found,) = find_answers(CONFIG, logits(data, (0, 0, 1, 2.0), (0, 3, 4, 3.0)), data)
    assert [(a.text, a.score, a.start) for a in found.best if a.text == "长江"] == [("长江", 6.0, 9)]


def test_whole_coarse_tokens():
    data = tokenized(SHORT)
    # 南京市 and 长江大桥 are words; 江 is inside one.
    (found,) = find_answers(CONFIG, logits(data, (0, 4, 4, 9.0)), data, whole_coarse=True)
    assert {a.text for a in found.best} <= {"南京市", "长江", "大桥", "长江大桥", "南京市长江", "南京市长江大桥"}
    assert "江" not in {a.text for a in found.best}


def test_questions_beyond_one_call_of_the_search():
    data = tokenized(*[SHORT] * 40)
    found = find_answers(CONFIG, logits(data, (39, 3, 4, 2.0)), data)
    assert len(found) == 40
    assert (found[39].best[0].text, found[38].best[0].score) == ("长江", -10.0)


@pytest.mark.parametrize(("threshold", "final"), [(-15.0, ""), (-13.0, "长江")])
def test_no_answer_above_the_threshold(threshold, final):
    data = tokenized(SHORT)
    config = dataclasses.replace(CONFIG, null_answers=True, null_score_diff_threshold=threshold)
    (found,) = find_answers(config, logits(data, (0, 3, 4, 2.0)), data)
    assert (found.null_odds, found.final) == (-14.0, final)


def test_nbest_probabilities_are_a_softmax_of_scores():
    form = SpanForm(TASKS["squad1"], CONFIG)
    two = QuestionAnswers([Answer("a", 1000.0, 0, 1), Answer("b", 1000.0, 2, 3)], 0.0, -1000.0, "a")
    assert [row["probability"] for row in form._nbest(two)] == [0.5, 0.5]
    none = QuestionAnswers([], 0.5, 0.0, "")
    assert form._nbest(none) == [{"text": "", "probability": 1.0, "score": 0.5, "start_byte": 0, "end_byte": 0}]
