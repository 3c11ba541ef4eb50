import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.glue import COLA, MNLI, QQP
from ambert_tf.tasks.tables import csv_table, glue_table


def read(tmp_path, content, reader, name="train.tsv"):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return [(record.line, record.content) for record in reader(str(path), "train_file")]


def test_quotes_mean_nothing_in_glues_tables(tmp_path):
    content = '\ufeffQuality\t#1 String\n1\t" He said .\n0\tSay "a\tb"\n'
    found = read(tmp_path, content, glue_table(("#1 String",)))
    assert found == [
        (2, {"Quality": "1", "#1 String": '" He said .'}),
        (3, {"Quality": "0", "#1 String": 'Say "a'}),
    ]


def test_colas_training_file_has_no_header_and_its_test_file_has_one(tmp_path):
    found = read(tmp_path, "gj04\t1\t\tThey drank.\nsgww85\t0\t*\tThey drank the.\n", COLA.records)
    assert [content["sentence"] for _, content in found] == ["They drank.", "They drank the."]
    assert [content["label"] for _, content in found] == ["1", "0"]
    assert read(tmp_path, "index\tsentence\n0\tBill left.\n", COLA.records) == [
        (2, {"index": "0", "sentence": "Bill left."})
    ]


def test_mnli_has_its_gold_label_last_however_many_annotators_there_are(tmp_path):
    columns = ["index", "sentence1", "sentence2", "label1", "label2", "gold_label"]
    found = read(tmp_path, "\t".join(columns) + "\n0\ta\tb\tneutral\tentailment\tneutral\n", MNLI.records)
    assert found[0][1]["gold_label"] == "neutral"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index\ttext\n0\ta\n", r"train.tsv, line 1: the column sentence is missing; the columns are .*index"),
        ("index\tsentence\n0\ta\n1\n", r"train.tsv, line 3: has 1 columns, separated by tabs; 2 are expected"),
        ("", "is an empty file"),
        ("\n\n", "has no records"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, glue_table(("sentence",)))


def test_qqps_broken_lines_are_left_out(tmp_path):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    found = read(tmp_path, header + "1\t2\t3\ta\tb\t0\n4\t5\tc\n6\t7\t8\td\te\t1\n", QQP.records)
    assert [line for line, _ in found] == [2, 4]


def test_a_lone_quotation_mark_does_not_swallow_lines(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text('label\tsentence\n1\t"Hello\n0\tBye\n1\tsome" x\n')
    with pytest.raises(InputError, match=r"train\.tsv, line 4: a cell that begins with a quotation mark"):
        list(csv_table(str(path), "train_file"))


def test_a_table_of_ones_own_is_quoted(tmp_path):
    content = 'sentence,label\n"Well, ""so""",yes\n"two\nlines",no\n'
    found = read(tmp_path, content, csv_table, "train.csv")
    assert found == [
        (2, {"sentence": 'Well, "so"', "label": "yes"}),
        (4, {"sentence": "two\nlines", "label": "no"}),
    ]
    with pytest.raises(InputError, match=r"train.tsv, line 2: has 1 columns .* but the header has 2: sentence, label"):
        read(tmp_path, "sentence\tlabel\nx\n", csv_table)
