import pytest

from ambert_tf.finetuning.span_examples import read_questions
from ambert_tf.tasks.json_lines import Record


def question(context, *answers, **more):
    content = {
        "id": "q", "question": "?", "context": context, "answers": [text for text, _ in answers],
        "starts": [start for _, start in answers], "impossible": False, "labelled": True, **more,
    }  # fmt: skip
    return Record("squad.json", "question q", content)


@pytest.mark.parametrize(
    ("context", "answer", "span"),
    [
        ("南京市长江大桥", ("长江", 3), (3, 5)),
        # White space at the end of the answer and of the context, which no token covers.
        ("南京市长江 ", ("长江 ", 3), (3, 5)),
        ("\u3000南京市", ("\u3000南京", 0), (1, 3)),
        # Not at the given offset: the nearest occurrence is used.
        ("长江、长江、长江", ("长江", 4), (3, 5)),
        ("the answer", ("answer ", 4), (4, 10)),
    ],
)
def test_the_span_of_an_answer(context, answer, span):
    found = read_questions([question(context, answer)], "train", needs_labels=True, null_answers=False)
    assert found.examples[0].span == span


def test_training_questions_without_their_answer_are_skipped_and_counted():
    records = [question("南京市", ("长江", 0)), question("长江", ("长江", 0))]
    found = read_questions(records, "train", needs_labels=True, null_answers=False)
    assert len(found.examples) == 1
    assert found.counts == {"answers": 2, "misaligned_answers": 1, "moved_answers": 0, "left_out": 1}
