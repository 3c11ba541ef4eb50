"""Tasks for data of one's own: JSON lines with a text or two and a label."""

from ambert_tf.tasks.declaration import ClassificationTask, Texts
from ambert_tf.tasks.json_lines import Record


def _sentence(record: Record, augment: bool) -> Texts:
    return Texts(record.string("sentence"))


def _sentence_pair(record: Record, augment: bool) -> Texts:
    return Texts(record.string("sentence1"), record.string("sentence2"))


SENTENCE = ClassificationTask(
    name="sentence", description="own data: JSON lines with sentence and label", texts=_sentence
)

SENTENCE_PAIR = ClassificationTask(
    name="sentence_pair",
    description="own data: JSON lines with sentence1, sentence2 and label",
    texts=_sentence_pair,
    pair=True,
)

REVIEWS = ClassificationTask(name="reviews", description="own data: reviews, as `sentence`", texts=_sentence)

TASKS = (SENTENCE, SENTENCE_PAIR, REVIEWS)
