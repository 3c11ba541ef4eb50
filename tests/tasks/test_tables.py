import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.glue import COLA, MNLI, QQP
from ambert_tf.tasks.tables import csv_table, glue_table


def read(tmp_path, content, reader, name="train.tsv"):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return [(record.line, record.content) for record in reader(str(path), "train_file")]


def test_glues_tables_have_no_quoting(tmp_path):
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
        ("index\tsentence\n0\ta\n1\n", r"train.tsv, line 3: has 1 tab-separated columns; 2 are expected"),
        ("", "is an empty file"),
        ("\n\n", "has no records"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, glue_table(("sentence",)))


def test_qqps_broken_lines_are_skipped_except_in_a_file_to_predict(tmp_path):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    found = read(tmp_path, header + "1\t2\t3\ta\tb\t0\n4\t5\tc\n6\t7\t8\td\te\t1\n", QQP.records)
    assert [line for line, _ in found] == [2, 4]
    # The leaderboard needs a prediction for every id.
    path = tmp_path / "test.tsv"
    path.write_text("id\tquestion1\tquestion2\n0\ta\tb\n1\tc\nrest of c\td\n2\te\n3\tf\tg\n")
    assert [record.content for record in QQP.records(str(path), "predict_file")] == [
        {"id": "0", "question1": "a", "question2": "b"},
        {"id": "1", "question1": "c rest of c", "question2": "d"},
        {"id": "2", "question1": "e", "question2": ""},
        {"id": "3", "question1": "f", "question2": "g"},
    ]


class TestQuotes:
    def test_rfc_4180(self, tmp_path):
        content = 'sentence,label\n"Well, ""so""",yes\n"two\r\nlines",no\nlast,yes\n'
        assert read(tmp_path, content, csv_table, "train.csv") == [
            (2, {"sentence": 'Well, "so"', "label": "yes"}),
            (3, {"sentence": "two\nlines", "label": "no"}),
            (5, {"sentence": "last", "label": "yes"}),
        ]
        found = read(tmp_path, 'sentence\tlabel\n"two\nlines"\tno\n', csv_table)
        assert found == [(2, {"sentence": "two\nlines", "label": "no"})]

    def test_a_lone_quotation_mark_is_a_character(self, tmp_path):
        content = 'label\tsentence\n1\t"Hello\n0\tBye\n1\tsome" x\n0\t"A" b\n'
        found = read(tmp_path, content, csv_table)
        assert [row["sentence"] for _, row in found] == ['"Hello', "Bye", 'some" x', '"A" b']
        found = read(tmp_path, 'label,sentence\n1,"Hello\n0,Bye\n', csv_table, "train.csv")
        assert [row["sentence"] for _, row in found] == ['"Hello', "Bye"]

    def test_in_a_table_with_tabs_a_cell_of_several_rows_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match=r"train\.tsv, line 2: a cell that starts with a quotation mark spans"):
            read(tmp_path, 'label\tsentence\n1\t"Hello\n0\tBye"\n', csv_table)


GOOD = [{"sentence": "服务很好", "label": "pos"}, {"sentence": "又贵又慢", "label": "neg"}]


def rows(found):
    return [content for _, content in found]


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("name", ["train.csv", "train.tsv", "train.txt"])
    def test_is_detected(self, tmp_path, delimiter, name):
        content = f"sentence{delimiter}label\n服务很好{delimiter}pos\n又贵又慢{delimiter}neg\n"
        assert rows(read(tmp_path, content, csv_table, name)) == GOOD

    def test_in_the_texts_does_not_count(self, tmp_path):
        content = "sentence;label\n好,很好,非常好;pos\n差,很差;neg\n"
        assert [row["sentence"] for row in rows(read(tmp_path, content, csv_table, "a.csv"))] == [
            "好,很好,非常好", "差,很差",
        ]  # fmt: skip
        content = '"sentence, in Chinese";label\n好;pos\n'
        assert rows(read(tmp_path, content, csv_table, "a.csv")) == [{"sentence, in Chinese": "好", "label": "pos"}]

    @pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
    def test_excels_first_line(self, tmp_path, line):
        content = f"{line}\r\nsentence;label\r\n服务很好;pos\r\n又贵又慢;neg\r\n"
        found = read(tmp_path, content, csv_table, "train.csv")
        assert rows(found) == GOOD
        assert [number for number, _ in found] == [3, 4]

    def test_a_single_column_has_none(self, tmp_path):
        assert rows(read(tmp_path, 'sentence\n好,很好\n"差, ""很差"""\n', csv_table, "test.csv")) == [
            {"sentence": "好,很好"}, {"sentence": '差, "很差"'},
        ]  # fmt: skip


def test_a_cell_may_be_long(tmp_path):
    (row,) = rows(read(tmp_path, f"sentence,label\n{'长' * 200_000},pos\n", csv_table, "train.csv"))
    assert len(row["sentence"]) == 200_000


def test_lines_may_end_in_cr(tmp_path):
    found = read(tmp_path, "sentence,label\r服务很好,pos\r又贵又慢,neg\r", csv_table, "train.csv")
    assert found == [(2, GOOD[0]), (3, GOOD[1])]


def test_empty_rows_and_columns_of_spreadsheets_are_skipped(tmp_path):
    content = ",,\nsentence,label,\n服务很好,pos,\n,,\n又贵又慢,neg,,,\n"
    found = read(tmp_path, content, csv_table, "train.csv")
    assert [(number, row["sentence"], row["label"]) for number, row in found] == [
        (3, "服务很好", "pos"), (5, "又贵又慢", "neg"),
    ]  # fmt: skip


def test_every_row_of_a_table_to_predict_is_a_record(tmp_path):
    """Otherwise, the predictions of the rows below would belong to other rows. Only blank lines are skipped."""

    def predicted(content, name, reader=csv_table):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return [(record.line, record.content) for record in reader(str(path), "predict_file")]

    content = ",\nsentence1,sentence2\n好,坏\n,\n\n  \n , ,,\n坏,好\n"
    assert predicted(content, "pairs.csv") == [
        (3, {"sentence1": "好", "sentence2": "坏"}),
        (4, {"sentence1": "", "sentence2": ""}),
        (7, {"sentence1": " ", "sentence2": " "}),
        (8, {"sentence1": "坏", "sentence2": "好"}),
    ]
    assert predicted('sentence\n好\n""\n\n坏\n', "one.csv") == [
        (2, {"sentence": "好"}), (3, {"sentence": ""}), (5, {"sentence": "坏"}),
    ]  # fmt: skip
    assert predicted("a\tb\n1\t2\n\t\n\n3\t4\n", "glue.tsv", glue_table()) == [
        (2, {"a": "1", "b": "2"}), (3, {"a": "", "b": ""}), (5, {"a": "3", "b": "4"}),
    ]  # fmt: skip


def test_required_columns_are_found_in_any_letter_case(tmp_path):
    def reader(path, flag):
        return csv_table(path, flag, ("sentence", "label"))

    assert rows(read(tmp_path, "Sentence, LABEL\n服务很好,pos\n又贵又慢,neg\n", reader, "train.csv")) == GOOD
    # Ids, too, which are not required.
    content = "ID,Sentence,Label\nA17,好,1\n"
    assert rows(read(tmp_path, content, reader, "train.csv")) == [{"id": "A17", "sentence": "好", "label": "1"}]
    # The exact name takes precedence over a different case.
    (row,) = rows(read(tmp_path, "Label,label,sentence\na,b,c\n", reader, "train.csv"))
    assert row == {"Label": "a", "label": "b", "sentence": "c"}
    with pytest.raises(InputError, match="line 1: 2 columns are named label"):
        read(tmp_path, "Label,LABEL,sentence\na,b,c\n", reader, "train.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence\tlabel\nx\n", "line 2: has 1 columns .* but the header has 2: sentence, label"),
        (
            "text;label\n好;pos\n",
            'line 1: the column sentence is missing; the columns are .*"text", "label".*, separated by semicolons; the '
            "first line must name sentence, label",
        ),
        ("好,pos\n差,neg\n", 'line 1: the column sentence and label is missing; the columns are .*"好", "pos"'),
    ],
)
def test_wrong_tables_of_users(tmp_path, content, message):
    with pytest.raises(InputError, match=f"train.csv, {message}"):
        read(tmp_path, content, lambda path, flag: csv_table(path, flag, ("sentence", "label")), "train.csv")


def test_what_was_read_is_logged(tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    read(tmp_path, "sentence;label\n好;pos\n;\n", csv_table, "train.csv")
    path = tmp_path / "train.csv"
    assert caplog.messages == [
        f"{path}: columns sentence, label, separated by semicolons", f"{path}: 1 empty rows are skipped",
    ]  # fmt: skip
