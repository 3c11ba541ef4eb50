import json
import os

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tasks.sequence_labelling_files import (
    cluener_line,
    conll_columns,
    json_spans,
    labels_of,
    segmented_text,
    tagged_words,
)


def read(tmp_path, content, reader, flag="train_file"):
    path = tmp_path / "train.txt"
    path.write_text(content, encoding="utf-8")
    return list(reader(str(path), flag))


def entities(record):
    """Returns the strings and labels of a record's spans."""
    return [(record.content["text"][span.start : span.end], span.label) for span in record.content["spans"]]


@pytest.mark.parametrize(
    ("task", "names", "content"),
    [
        ("msra", ("msra_train_bio.txt", "msra_test_bio.txt"), "中\tB-ORG\n央\tI-ORG\n在\tO\n北\tB-LOC\n京\tI-LOC\n\n"),
        ("msra", ("train.txt", "test.txt"), "中 B-ORG\n央 I-ORG\n在 O\n北 B-LOC\n京 I-LOC\n\n"),
        ("resume", ("train.char.bmes", "dev.char.bmes"), "中 B-ORG\n央 E-ORG\n在 O\n北 B-LOC\n京 E-LOC\n\n"),
    ],
)
def test_official_files(tmp_path, task, names, content):
    for name in names:
        (tmp_path / name).write_text(content, encoding="utf-8")
    for split, name in zip(("train", "dev"), names, strict=True):
        files = split_files(TASKS[task], str(tmp_path), split)
        assert [name] == [os.path.basename(file) for file in files]
        (record,) = file_records(TASKS[task], files, split)
        assert entities(record) == [("中央", "ORG"), ("北京", "LOC")]


class TestConll:
    @pytest.mark.parametrize("separator", ["\t", " ", "  "])
    def test_chinese_characters_are_joined(self, tmp_path, separator):
        # ResumeNER: a character and a tag of BMES, a space between them.
        content = "".join(
            f"{c}{separator}{t}\n" for c, t in zip("高勇任职", ["B-NAME", "E-NAME", "O", "O"], strict=True)
        )
        first, second = read(tmp_path, f"{content}\n{content}", conll_columns())
        assert first.content == {"text": "高勇任职", "spans": [Span(0, 2, "NAME")], "span_lines": [1]}
        assert (first.line, second.line) == (1, 6)

    def test_english_words_are_joined_by_spaces(self, tmp_path):
        content = "Empire\tB-location\nState\tI-location\n's\tO\nESB\tB-location\n"
        (record,) = read(tmp_path, content, conll_columns())
        assert record.content["text"] == "Empire State 's ESB"
        assert entities(record) == [("Empire State", "location"), ("ESB", "location")]

    def test_columns_comments_and_document_starts_of_conll_2003(self, tmp_path):
        content = (
            "-DOCSTART- -X- -X- O\n\n# a comment\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n# NN I-NP O\n\n"
            "Peter NNP B-NP B-PER\n"
        )
        first, second = read(tmp_path, content, conll_columns())
        # A hash sign is a token where a tag is in its line.
        assert first.content["text"] == "EU rejects #"
        assert entities(first) == [("EU", "ORG")] and entities(second) == [("Peter", "PER")]
        (record,) = read(tmp_path, "B-ORG 1 EU\nO 2 x\n", conll_columns(tag_column=0, token_column=2))
        assert entities(record) == [("EU", "ORG")]

    def test_weibos_position_digits(self, tmp_path):
        content = "张0\tB-PER.NAM\n三1\tI-PER.NAM\n10\tO\n\ufffd\ufffd0\tO\n"
        (record,) = read(tmp_path, content, conll_columns(position_digits=True))
        assert record.content["text"] == "张三1\ufffd\ufffd"
        assert record.content["spans"] == [Span(0, 2, "PER.NAM")]
        with pytest.raises(InputError, match=r"line 1: .张. has no digit for the position in its word"):
            read(tmp_path, "张\tO\n", conll_columns(position_digits=True))

    def test_a_token_may_be_a_space(self, tmp_path):
        (record,) = read(tmp_path, "好\tO\n \tO\n好 O\n  O\n京\tB-LOC\n", conll_columns())
        assert record.content == {"text": "好 好 京", "spans": [Span(4, 5, "LOC")], "span_lines": [5]}

    def test_other_spaces_are_parts_of_tokens(self, tmp_path):
        (record,) = read(tmp_path, "New\xa0York B-LOC\nhas O\n10\xa0000 O\ncats O\n", conll_columns())
        assert record.content["text"] == "New\xa0York has 10\xa0000 cats"
        assert entities(record) == [("New\xa0York", "LOC")]
        (record,) = read(tmp_path, "北 B-LOC\n\u3000 O\n京 B-LOC\n", conll_columns())
        assert record.content["text"] == "北\u3000京"

    def test_to_predict_a_line_with_only_a_word_is_that_word(self, tmp_path):
        content = "# id 1\nI\nlove\n#Paris\nand\n#\nLondon\n"
        (record,) = read(tmp_path, content, conll_columns(), "predict_file")
        assert record.content == {"text": "I love #Paris and # London"}
        # In a file with labels, it is a comment.
        (record,) = read(tmp_path, "love O\n#Paris\n", conll_columns())
        assert record.content["text"] == "love"

    def test_a_file_with_a_character_per_token_has_no_spaces(self, tmp_path):
        (record,) = read(tmp_path, "\n".join("iPhone手机"), conll_columns(), "predict_file")
        assert record.content["text"] == "iPhone手机"

    def test_a_tag_column_may_be_counted_from_the_end(self, tmp_path):
        (record,) = read(tmp_path, "B-LOC NNP Paris\n", conll_columns(tag_column=-3, token_column=2))
        assert entities(record) == [("Paris", "LOC")]
        with pytest.raises(InputError, match="line 1: has 2 columns"):
            read(tmp_path, "a O\n", conll_columns(tag_column=-3))

    def test_faults_are_errors_or_counted(self, tmp_path, caplog):
        content = "a\tB-PER\nb\tO\nc\tI-PER\n"
        with pytest.raises(InputError, match="line 3: I-PER follows O, which does not form an entity in BIO"):
            read(tmp_path, content, conll_columns())
        (record,) = read(tmp_path, content, conll_columns(strict=False))
        assert entities(record) == [("a", "PER"), ("c", "PER")]
        assert "1 tags do not continue the tags before them; they begin entities" in caplog.text

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\tO\nb\n", "line 2: has 1 columns .*; a token and a tag are expected"),
            ("a\tO\nb\tPER\n", "line 2: .PER. is not a tag such as B-PER"),
            ("a\tB-A\nb\tI-A\n\nc\tM-A\n", "line 4: tags with I and tags with M are mixed, here 'M-A'"),
            ("-DOCSTART- O\n", "has no sentences"),
            ("", "is an empty file"),
            ("\n\n", "has no records"),
        ],
    )
    def test_wrong_files(self, tmp_path, content, message):
        with pytest.raises(InputError, match=message):
            read(tmp_path, content, conll_columns())

    def test_tags_of_another_scheme_than_the_given_one(self, tmp_path):
        with pytest.raises(InputError, match="line 3: the tag 'S-A' does not belong to the scheme BIO"):
            read(tmp_path, "a\tO\nb\tO\nc\tS-A\n", conll_columns(scheme="BIO"))


class TestJson:
    def test_cluener(self, tmp_path):
        line = {
            "text": "浙商银行叶老桂，叶老桂",
            "label": {"company": {"浙商银行": [[0, 3]]}, "name": {"叶老桂": [[4, 6], [8, 10]]}},
        }
        (record, test) = read(
            tmp_path, json.dumps(line) + '\n{"id": 7, "text": "没有"}\n', json_spans("label", end_inclusive=True)
        )
        assert entities(record) == [("浙商银行", "company"), ("叶老桂", "name"), ("叶老桂", "name")]
        assert labels_of([record, test]) == {"company": 1, "name": 2}
        assert test.content == {"id": 7, "text": "没有"}
        # The leaderboard takes the format of the data.
        assert json.loads(cluener_line(3, line["text"], record.content["spans"])) == {"id": 3, **line}

    def test_lists_of_entities(self, tmp_path):
        given = [{"label": "LOC", "start": 0, "end": 2, "text": "北京"}, [3, 5, "LOC"]]
        (record,) = read(tmp_path, json.dumps({"text": "北京和上海", "entities": given}), json_spans())
        assert entities(record) == [("北京", "LOC"), ("上海", "LOC")]
        given = [{"label": "LOC", "start": 9, "end": 15}]
        (record,) = read(tmp_path, json.dumps({"text": "北京和上海", "entities": given}), json_spans(byte_offsets=True))
        assert entities(record) == [("上海", "LOC")]

    def test_overlapping_entities_are_counted(self, tmp_path, caplog):
        given = [[0, 4, "ORG"], [0, 2, "LOC"], [0, 4, "ORG"]]
        (record,) = read(tmp_path, json.dumps({"text": "北京大学", "entities": given}), json_spans())
        assert record.content["spans"] == [Span(0, 4, "ORG")]
        assert "1 entities that overlap longer ones are left out" in caplog.text

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([[0, 6, "LOC"]], "the entity .LOC. from 0 to 6 is not inside the text of length 5"),
            ([[-1, 2, "LOC"]], "the entity .LOC. from -1 to 2 is not inside"),
            ([[2, 2, "LOC"]], "the entity .LOC. from 2 to 2 is not inside"),
            (
                [{"label": "LOC", "start": 0, "end": 2, "text": "南京"}],
                "the entity .南京. is not at 0, where the text has .北京.",
            ),
            ([["0", 2, "LOC"]], "'start' is .0.; it must be an integer"),
            ([[0, 2, ""]], "the label of the entity from 0 to 2 is empty"),
            ([[0, 2]], r"'entities' contains \[0, 2\]; an object with label, start and end is expected"),
            (5, "'entities' is 5; it must be a list of entities"),
            ({"LOC": 5}, "the entities of 'LOC' are 5; an object of strings is expected"),
            ({"LOC": {"北京": 5}}, r"the place of .北京. is 5; \[start, end\] is expected"),
        ],
    )
    def test_wrong_entities(self, tmp_path, given, message):
        with pytest.raises(InputError, match=f"train.txt, line 1: {message}"):
            read(tmp_path, json.dumps({"text": "北京和上海", "entities": given}), json_spans())

    def test_a_byte_inside_a_character(self, tmp_path):
        with pytest.raises(InputError, match="from byte 1 to 6 cuts a character"):
            read(tmp_path, json.dumps({"text": "北京", "entities": [[1, 6, "LOC"]]}), json_spans(byte_offsets=True))


def test_segmented_text(tmp_path):
    (record,) = read(tmp_path, "共同  创造\u3000美好 的\n\n", segmented_text)
    assert entities(record) == [("共同", "word"), ("创造", "word"), ("美好", "word"), ("的", "word")]


def test_a_text_to_predict_that_is_not_segmented_keeps_its_spaces(tmp_path):
    (record,) = read(tmp_path, "我用 Windows Phone 手机\n", segmented_text, "predict_file")
    assert record.content == {"text": "我用 Windows Phone 手机"}
    (record,) = read(tmp_path, "共同  创造  美好  的\n", segmented_text, "predict_file")
    assert record.content["text"] == "共同创造美好的"


class TestTaggedWords:
    def test_peoples_daily(self, tmp_path):
        content = "19980101-01-001-002/m  [中国/ns  中央/n  电视台/n]nt  １９９７年/t  与/p  1/2/m\n\n"
        (record,) = read(tmp_path, content, tagged_words())
        assert entities(record) == [
            ("中国", "ns"), ("中央", "n"), ("电视台", "n"), ("１９９７年", "t"), ("与", "p"), ("1/2", "m"),
        ]  # fmt: skip

    def test_brackets_around_several_words_and_brackets_that_are_words(self, tmp_path):
        content = "[/w 笑/v ]/w a[1]/n [纽约/nsf 时报/n]/nz 》/w [[中国/ns 科学院/n]nt 院士/n]nz\n"
        (record,) = read(tmp_path, content, tagged_words())
        assert entities(record) == [
            ("[", "w"), ("笑", "v"), ("]", "w"), ("a[1]", "n"), ("纽约", "nsf"), ("时报", "n"), ("》", "w"),
            ("中国", "ns"), ("科学院", "n"), ("院士", "n"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "line", ["他/她走了，时速100km/h。", "网址 http://a.cn/b 在 2020/01/02 [笑]", "共同/d 创造", "/s"]
    )
    def test_a_text_to_predict_without_tags_is_taken_as_it_is(self, tmp_path, line):
        (record,) = read(tmp_path, f"{line}\n", tagged_words(), "predict_file")
        assert record.content == {"text": line}

    def test_the_tags_of_a_text_to_predict_are_left_out(self, tmp_path):
        (record,) = read(tmp_path, "[共同/d 创造/v]vn ，/w 1/m\n", tagged_words(), "predict_file")
        assert record.content["text"] == "共同创造，1"

    def test_other_separators(self, tmp_path):
        (record,) = read(tmp_path, "They_PRP drank_VBD\n", tagged_words("_", " "))
        assert record.content["text"] == "They drank"
        assert entities(record) == [("They", "PRP"), ("drank", "VBD")]

    def test_a_word_without_a_tag(self, tmp_path):
        with pytest.raises(InputError, match=r"line 2: .创造. is not a word with a tag, such as 迈向/v"):
            read(tmp_path, "共同/d\n共同/d 创造\n", tagged_words())
