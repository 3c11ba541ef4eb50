"""tf-idf with logistic regression, or a CRF over n-grams, on a task: the non-neural baselines of benchmarks/study.py.

    python benchmarks/study_baseline.py --task_name=tnews --data_dir=/data/tnews --output_file=scores.json

Features are character 1- and 2-grams in Chinese, and word 1- and 2-grams in English, with sublinear term frequencies.
A single text is represented by its tf-idf vector u, and a pair (u, v) by |u - v|, u * v and their cosine, as usual for
sentence pairs. Scores are predicted by ridge regression. In multiple choice, the choice with the highest cosine
similarity to context and question is predicted, without using labels. Sequences are labelled by the CRF of
benchmarks/crf_baseline.py. The output is a list with the task's first metric for each of --train_files.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from absl import flags
from crf_baseline import crf_f1
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from ambert_tf.errors import InputError, run_main
from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, REGRESSION, SEQUENCE_LABELLING
from ambert_tf.outputs import atomic_path
from ambert_tf.tasks import metrics
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.declaration import Choices, Example, MarkedSpans, ReadOptions, Task, Texts
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.labels import find_labels, labels_directory
from ambert_tf.tasks.registry import TASKS

FLAGS = flags.FLAGS
flags.DEFINE_string("task_name", None, "The task.", required=True)
flags.DEFINE_string("data_dir", None, "Directory with the task's files.", required=True)
flags.DEFINE_multi_string("train_files", [], "Training files of one run, separated by commas. Repeat for more runs.")
flags.DEFINE_string("eval_file", None, "Development files. Default: the task's.")
flags.DEFINE_integer("max_examples", 0, "Maximum training examples. 0 for all.")
flags.DEFINE_integer("max_eval_examples", 0, "Maximum development examples. 0 for all.")
flags.DEFINE_enum("language", "zh", ("zh", "en"), "Characters (zh) or words (en).")
flags.DEFINE_float("inverse_regularization", 10.0, "scikit-learn's C of the logistic regression.")
flags.DEFINE_string("output_file", None, "JSON file to write.", required=True)


def records_of(task: Task, split: str, names: str | None, maximum: int) -> list[Record]:
    """Returns the records of a split, as many as the fine-tuning programs read."""
    paths = split_files(task, FLAGS.data_dir, split, names)
    return list(itertools.islice(file_records(task, paths, split), maximum or None))


def examples_of(task: Task, split: str, names: str | None, labels: Sequence[str], maximum: int) -> list[Example]:
    """Returns the examples of a split."""
    records = records_of(task, split, names, maximum)
    return read_examples(task, records, split, labels, ReadOptions(augment=False)).examples


def label_names(task: Task) -> list[str]:
    """Returns the names of the labels in the order of their indices, or an empty list if the task has no labels.

    If they are not listed anywhere, the labels are those of the training files of all runs.
    """
    if task.form in (REGRESSION, MULTIPLE_CHOICE):
        return []
    names = ",".join(FLAGS.train_files) or None
    paths = tuple(dict.fromkeys(split_files(task, FLAGS.data_dir, "train", names)))
    labels = find_labels(task, labels_directory(FLAGS.data_dir, paths), file_records(task, paths, "train"))
    return [label.name for label in labels]


def make_vectorizer() -> TfidfVectorizer:
    """Returns the tf-idf features of the language."""
    if FLAGS.language == "zh":
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    return TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)


def texts_of(example: Example) -> Texts:
    """Returns the text or the two texts of an example. For marked spans, these are the texts of the spans."""
    inputs = example.inputs
    if isinstance(inputs, MarkedSpans):
        return Texts(inputs.span1_text, inputs.span2_text)
    assert isinstance(inputs, Texts)
    return inputs


def features(vectorizer: TfidfVectorizer, examples: Sequence[Example]) -> Any:
    """Returns a row of features per example."""
    texts = [texts_of(example) for example in examples]
    first = vectorizer.transform([each.text for each in texts])
    if texts[0].text_pair is None:
        return first
    second = vectorizer.transform([each.text_pair for each in texts])
    product = first.multiply(second)
    cosine = scipy.sparse.csr_matrix(product.sum(axis=1))
    return scipy.sparse.hstack([abs(first - second), product, cosine]).tocsr()


def most_similar_choices(vectorizer: TfidfVectorizer, examples: Sequence[Example]) -> np.ndarray:
    """Returns the index of the choice that is most similar to its context and question, per example."""
    found = []
    for example in examples:
        assert isinstance(example.inputs, Choices)
        context, question, choices = example.inputs
        similarity = vectorizer.transform(choices) @ vectorizer.transform([f"{context} {question}"]).T
        found.append(int(np.argmax(similarity.toarray())))
    return np.array(found)


def strings(example: Example) -> list[str]:
    """Returns every text of an example."""
    inputs = example.inputs
    if isinstance(inputs, Choices):
        return [inputs.context, inputs.question, *inputs.choices]
    return [value for value in inputs if isinstance(value, str)]


def score(task: Task, train: Sequence[Example], dev: Sequence[Example]) -> float:
    """Returns the task's first metric on the development examples."""
    vectorizer = make_vectorizer()
    vectorizer.fit([text for example in train for text in strings(example)])
    right = np.array([example.label for example in dev])
    if task.form == MULTIPLE_CHOICE:
        predicted = most_similar_choices(vectorizer, dev)
    else:
        labels = [example.label for example in train]
        model = Ridge() if task.form == REGRESSION else LogisticRegression(C=FLAGS.inverse_regularization, max_iter=500)
        predicted = model.fit(features(vectorizer, train), labels).predict(features(vectorizer, dev))
    return metrics.score(task.metrics, predicted, right)[task.metrics[0]]


def tf_idf_scorer(task: Task) -> Callable[[str | None], float]:
    """Returns a function from training files to the score of tf-idf with logistic regression."""
    labels = label_names(task)
    dev = examples_of(task, "dev", FLAGS.eval_file, labels, FLAGS.max_eval_examples)
    return lambda names: score(task, examples_of(task, "train", names, labels, FLAGS.max_examples), dev)


def crf_scorer(task: Task) -> Callable[[str | None], float]:
    """Returns a function from training files to the F1 of the CRF."""
    dev = records_of(task, "dev", FLAGS.eval_file, FLAGS.max_eval_examples)
    english, segmentation = FLAGS.language == "en", "oov_recall" in task.metrics
    return lambda names: crf_f1(records_of(task, "train", names, FLAGS.max_examples), dev, english, segmentation)


SCORERS = {
    CLASSIFICATION: tf_idf_scorer,
    REGRESSION: tf_idf_scorer,
    MULTIPLE_CHOICE: tf_idf_scorer,
    SEQUENCE_LABELLING: crf_scorer,
}


def main(argv: Sequence[str]) -> None:
    """Writes a score for each of --train_files."""
    del argv
    task = TASKS.get(FLAGS.task_name)
    if task is None or task.form not in SCORERS:
        raise InputError(f"--task_name={FLAGS.task_name}: there is no baseline for it")
    score_of = SCORERS[task.form](task)
    runs = FLAGS.train_files or [None]
    scores = {names: score_of(names) for names in dict.fromkeys(runs)}
    with atomic_path(FLAGS.output_file) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump([scores[names] for names in runs], file)


if __name__ == "__main__":
    run_main(main)
