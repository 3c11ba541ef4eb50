import csv
import json

import pytest

from ambert_tf.errors import InputError


@pytest.fixture
def labelled(script, tmp_path):
    """Returns a function from a task's files to its labelled data, with its samples in `samples`."""
    places, study_data = script("places"), script("study_data")

    def make(task, files, **names):
        directory = tmp_path / "task"
        directory.mkdir()
        for name, text in files.items():
            (directory / name).parent.mkdir(exist_ok=True, parents=True)
            (directory / name).write_text(text, encoding="utf-8")
        place = places.Place(task, "zh", str(directory), **names)
        return study_data.LabelledData(place, str(tmp_path / "samples"))

    return make


def json_lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def reviews(split, count):
    return [{"sentence": f"{split} {n}", "label": "good" if n % 2 else "bad"} for n in range(count)]


def squad(split, count):
    questions = [{"id": f"{split}{n}", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
                 for n in range(count)]  # fmt: skip
    return json.dumps({"data": [{"paragraphs": [{"context": "Ann came.", "qas": questions}]}]}, indent=1)


def columns(split, labels):
    return "".join(f"{split}0\tO\n北0\tB-{label}\n京1\tI-{label}\n\n" for label in labels)


def test_samples_of_json_lines_are_nested_lines_of_the_training_file(labelled):
    rows = reviews("train", 30)
    data = labelled("sentence", {"train.json": json_lines(*rows), "dev.json": json_lines(*reviews("dev", 4))})
    samples = {}
    for labels in (5, 10):
        path, count = data.subset(labels, seed=1)
        assert count == labels
        assert path.endswith(f"/samples/sentence/sentence-{labels}-1.json")
        with open(path, encoding="utf-8") as file:
            samples[labels] = [json.loads(line) for line in file]
    assert samples[5] == samples[10][:5]
    assert [len({row["sentence"] for row in samples[labels]}) for labels in samples] == [5, 10]
    assert all(row in rows for row in samples[10])
    assert data.subset(0, 1) == data.subset(30, 2) == (f"{data.place.directory}/train.json", 30)


def test_pretty_printed_json_is_not_split_into_lines(labelled):
    data = labelled("squad1", {"train.json": squad("t", 12), "dev.json": squad("d", 3)}, train="train.json",
                    dev="dev.json")  # fmt: skip
    assert data.examples.number == 12
    assert data.budgets([5, 12, 100, 0]) == [5, 12, 0]
    assert data.subset(5, 1) == (f"{data.place.directory}/train.json", 5)
    assert data.subset(0, 1) == (f"{data.place.directory}/train.json", 12)


def test_quoted_rows_of_several_lines_count_once(labelled, tmp_path):
    rows = [{"sentence": f"first {n}\nsecond", "label": str(n % 2)} for n in range(40)]
    with open(tmp_path / "table.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ("sentence", "label"))
        table.writeheader()
        table.writerows(rows)
    content = (tmp_path / "table.csv").read_text(encoding="utf-8")
    data = labelled("sentence", {"train.csv": content, "dev.csv": "sentence,label\na,0\n"})
    assert data.budgets([20, 80]) == [20]
    assert data.subset(20, 1) == (f"{data.place.directory}/train.csv", 20)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_samples_of_tables_have_their_header(labelled, mark):
    rows = [f"{n}\ttext {n}\ttext\tnot_entailment" for n in range(9)]
    table = f"{mark}index\tsentence1\tsentence2\tlabel\n" + "\n".join(rows)
    data = labelled("rte", {"train.tsv": table, "dev.tsv": table})
    with open(data.subset(4, 1)[0], encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == "index\tsentence1\tsentence2\tlabel"
    assert len(set(lines[1:])) == 4
    assert set(lines[1:]) < set(rows)


def test_short_rows_which_are_skipped_are_not_sampled(labelled):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = [f"{n}\t1\t2\tone {n}\ttwo\t{n % 2}" for n in range(10)]
    table = "\n".join([header, *rows[:5], "5\t1\t2\tbroken", *rows[5:]])
    data = labelled("qqp", {"train.tsv": table, "dev.tsv": table})
    assert data.examples.number == 10
    with open(data.subset(9, 1)[0], encoding="utf-8") as file:
        assert set(file.read().splitlines()[1:]) < set(rows)


def test_a_directory_is_read_as_a_whole(labelled):
    def passage(name):
        return json.dumps({
            "id": name, "article": "Ann came.", "questions": ["Who?", "Who came?"], "options": [["Ann", "Bob"]] * 2,
            "answers": ["A", "A"],
        })  # fmt: skip

    data = labelled("race", {f"{split}/middle/1.txt": passage(f"{split}1") for split in ("train", "dev", "test")})
    assert data.budgets([1, 2, 3, 0]) == [1, 2, 0]
    assert data.subset(1, 1) == (f"{data.place.directory}/train", 1)


def test_columns_have_as_many_examples_as_sentences(labelled):
    files = {"train.txt": columns("t", ["GPE"] * 5 + ["PER"]), "dev.txt": columns("d", ["PER"])}
    data = labelled("weibo", files)
    assert data.budgets([6, 7, 18, 0]) == [6, 0]
    assert data.subset(4, 1) == (f"{data.place.directory}/train.txt", 4)


def test_the_labels_of_a_sample_are_those_of_all_examples(labelled):
    from ambert_tf.tasks.labels import find_labels, labels_directory
    from ambert_tf.tasks.registry import TASKS

    rows = [*reviews("train", 200), {"sentence": "once", "label": "rare"}]
    data = labelled("sentence", {"train.json": json_lines(*rows), "dev.json": json_lines(*reviews("dev", 4))})
    path, _ = data.subset(10, 1)
    labels = find_labels(TASKS["sentence"], labels_directory(data.place.directory, [path]), None)
    assert [label.name for label in labels] == ["bad", "good", "rare"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.json": "", "dev.json": "{}"}, r"^--train_file=.*train\.json: is an empty file$"),
        ({"train.json": "\n", "dev.json": "{}"}, r"^--train_file: .*train\.json has no records, only empty lines$"),
        ({"train.csv": "sentence,label\n", "dev.json": "{}"}, r"^--tasks=sentence: .*train\.csv: has no training exam"),
        ({"train.json": json_lines(*reviews("train", 4))}, r"^--data_dir=.*: has no dev\.json or "),
    ],
)
def test_a_missing_or_empty_file_is_found_at_once(labelled, files, message):
    with pytest.raises(InputError, match=message):
        labelled("sentence", files)
