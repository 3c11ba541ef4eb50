import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.multiple_choice_files import c3_records, chid_records, race_records
from tests.classifiers import write_json_lines


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return str(path)


def contents(records):
    return [record.content for record in records]


QUESTION = {"question": "谁？", "choice": ["他", "她"], "answer": "她"}


class TestC3:
    def test_one_record_per_question(self, tmp_path):
        other = {"question": "哪？", "choice": ["北", "南", "东"], "id": 9}
        path = write_json(tmp_path / "d-dev.json", [[["男：好", "女：不"], [QUESTION, other], "1-2"]])
        assert contents(c3_records(path, "eval_file")) == [
            {"id": "d-dev-0", "context": "男：好\n女：不", "question": "谁？", "choices": ["他", "她"], "answer": 1},
            {"id": 9, "context": "男：好\n女：不", "question": "哪？", "choices": ["北", "南", "东"]},
        ]
        # Questions are counted in each document.
        wrong = [["x"], [{**QUESTION, "answer": "它"}], "2"]
        path = write_json(tmp_path / "d-dev.json", [[["男：好"], [QUESTION, other], "1"], wrong])
        with pytest.raises(InputError, match=r"document 2, question 1: the answer .它. is not among the choices"):
            contents(c3_records(path, "eval_file"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"a": 1}, r"is \{.*a list of \[\[.line"),
            ([{"a": 1}], "document 1: is"),
            ([[["x"], [{"question": "q", "choice": ["a"], "answer": "b"}], "1"]], "the answer .*b.* is not"),
            ([[["x"], [{"question": "q", "choice": "a"}], "1"]], "'choice' is .*a.*; it must be a list of strings"),
            ([["x", [], "1"]], "'lines' is"),
        ],
    )
    def test_wrong_files(self, tmp_path, content, message):
        with pytest.raises(InputError, match=message):
            contents(c3_records(write_json(tmp_path / "c3.json", content), "train_file"))


DOCUMENT = {
    "article": "Text.", "questions": ["Who _ ?", "Why?"], "options": [["a", "b"], ["c", "d"]],
    "answers": ["B", "A"], "id": "high12.txt",
}  # fmt: skip


class TestRace:
    def test_a_directory_of_files(self, tmp_path):
        write_json(tmp_path / "dev/high/12.txt", DOCUMENT)
        write_json(tmp_path / "dev/middle/3.txt", {k: v for k, v in DOCUMENT.items() if k != "id"})
        found = contents(race_records(str(tmp_path / "dev"), "eval_file"))
        assert [record["id"] for record in found] == [
            "high12.txt-0", "high12.txt-1", "middle3.txt-0", "middle3.txt-1"
        ]  # fmt: skip
        assert found[0] == {
            "id": "high12.txt-0", "context": "Text.", "question": "Who _ ?", "choices": ["a", "b"], "answer": 1
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"answers": ["B"]}, "has 2 questions, 2 options and 1 answers"),
            ({"answers": ["E", "A"]}, "question 1: the answer is .*E.*; it must be a letter up to B"),
            ({"answers": ["AB", "A"]}, "question 1: the answer is .*AB.*; it must be a letter up to B"),
            ({"article": 5}, "'article' is 5; it must be a string"),
            ({"options": [["a", 1], ["c", "d"]]}, "'options' is"),
        ],
    )
    def test_wrong_files(self, tmp_path, changes, message):
        write_json(tmp_path / "dev/high/1.txt", {**DOCUMENT, **changes})
        with pytest.raises(InputError, match=message):
            contents(race_records(str(tmp_path / "dev"), "eval_file"))

    def test_no_files(self, tmp_path):
        with pytest.raises(InputError, match=r"has no \*.txt"):
            contents(race_records(str(tmp_path), "eval_file"))


LINE = {"content": ["他#idiom000001#地走了", "a#idiom000002#b#idiom000003#c"], "candidates": ["一", "二", "三"]}
ANSWERS = {"#idiom000001#": 2, "#idiom000002#": 0, "#idiom000003#": 1}


class TestChid:
    def write(self, tmp_path, lines, answers=None):
        if answers is not None:
            write_json(tmp_path / "train_answer.json", answers)
        return write_json_lines(tmp_path / "train.json", lines)

    def test_one_record_per_blank_with_the_answers_from_another_file(self, tmp_path):
        found = contents(chid_records(self.write(tmp_path, [LINE], ANSWERS), "train_file"))
        assert [record["id"] for record in found] == ["#idiom000001#", "#idiom000002#", "#idiom000003#"]
        assert found[2] == {
            "id": "#idiom000003#", "before": "a#idiom000002#b", "after": "c", "choices": ["一", "二", "三"],
            "group": f"{tmp_path}/train.json:1", "answer": 1,
        }  # fmt: skip

    def test_texts_without_a_blank_are_skipped(self, tmp_path):
        line = {**LINE, "content": ["他#idiom000001#地走了", "无", "a#idiom000002#b"]}
        found = contents(chid_records(self.write(tmp_path, [line], ANSWERS), "train_file"))
        assert [record["id"] for record in found] == ["#idiom000001#", "#idiom000002#"]

    def test_a_test_file_has_no_answers(self, tmp_path):
        found = contents(chid_records(self.write(tmp_path, [LINE]), "predict_file"))
        assert all("answer" not in record for record in found)

    def test_fewclues_lines(self, tmp_path):
        line = {"id": 242, "candidates": ["一", "二"], "content": "新#idiom#海域", "answer": 1}
        (found,) = contents(chid_records(self.write(tmp_path, [line]), "train_file"))
        assert found["id"] == 242
        assert (found["before"], found["after"], found["answer"]) == ("新", "海域", 1)

    def competition_files(self, tmp_path, lines, answers):
        (tmp_path / "train.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (tmp_path / "train_answer.csv").write_text(answers, encoding="utf-8")
        return contents(chid_records(str(tmp_path / "train.txt"), "train_file"))

    @pytest.mark.parametrize("encode", [json.dumps, repr])
    @pytest.mark.parametrize("header", ["", "\ufeffid,answer\r\n"])
    def test_files_of_the_competition(self, tmp_path, encode, header):
        lines = [encode(LINE), encode({**LINE, "content": ["这句话没有空。"]})]
        answers = header + "".join(f"{tag},{index}\r\n" for tag, index in ANSWERS.items())
        found = self.competition_files(tmp_path, lines, answers)
        assert [(record["id"], record["answer"]) for record in found] == list(ANSWERS.items())
        assert found[0]["before"] == "他" and found[0]["choices"] == ["一", "二", "三"]

    def test_wrong_files_of_the_competition(self, tmp_path):
        with pytest.raises(InputError, match=r"train_answer.csv, line 2: is .*#idiom000002#,二.*; a line such as"):
            self.competition_files(tmp_path, [LINE], "#idiom000001#,2\n#idiom000002#,二\n")
        with pytest.raises(InputError, match=r"train.txt, line 1: is neither JSON .* nor a Python dictionary"):
            self.competition_files(tmp_path, ["{'content': [oops]}"], "#idiom000001#,2\n")

    def test_the_papers_files_have_candidates_for_each_blank(self, tmp_path):
        line = {
            "content": "他#idiom#走，她#idiom#笑", "groundTruth": ["乙", "丁"],
            "candidates": [["甲", "乙"], ["丙", "丁"]],
        }  # fmt: skip
        first, second = contents(chid_records(self.write(tmp_path, [line]), "train_file"))
        assert (first["choices"], first["answer"], first["after"]) == (["甲", "乙"], 1, "走，她#idiom#笑")
        assert (second["choices"], second["answer"]) == (["丙", "丁"], 1)
        assert first["id"] != second["id"] and first["group"] != second["group"]
        with pytest.raises(InputError, match="line 1: has 2 blanks and 1 lists of candidates"):
            contents(chid_records(self.write(tmp_path, [{**line, "candidates": [["甲"]]}]), "train_file"))

    def test_groups_of_several_files_differ(self, tmp_path):
        groups = set()
        for name, tag in (("a.json", "#idiom000001#"), ("b.json", "#idiom000002#")):
            path = write_json_lines(tmp_path / name, [{"content": [f"他{tag}。"], "candidates": ["一", "二"]}])
            groups |= {record["group"] for record in contents(chid_records(path, "predict_file"))}
        assert len(groups) == 2

    def test_every_line_of_fewclues_test_file_is_predicted(self, tmp_path):
        lines = [
            {"id": 1, "candidates": ["一", "二"], "content": "新#idiom#海域"},
            {"id": 2, "candidates": ["一", "二"], "content": "没有空"},
        ]
        found = contents(chid_records(self.write(tmp_path, lines), "predict_file"))
        assert [(record["id"], record["before"], record["after"]) for record in found] == [
            (1, "新", "海域"), (2, "没有空", ""),
        ]  # fmt: skip
        assert len(contents(chid_records(self.write(tmp_path, lines), "train_file"))) == 1

    @pytest.mark.parametrize(
        ("line", "answers", "message"),
        [
            (LINE, {"#idiom000001#": 2}, "line 1: the blank #idiom000002# has no answer in .*train_answer.json"),
            (LINE, {**ANSWERS, "#idiom000001#": 3}, r"the answer of #idiom000001# is 3; it must be from 0 to 2"),
            ({"content": ["无"], "candidates": ["一"]}, None, "has no blank"),
            ({**LINE, "candidates": []}, None, "line 1: has no candidates"),
            ({"content": ["无#idiom1#"]}, None, "line 1: the key 'candidates' is missing"),
        ],
    )
    def test_wrong_files(self, tmp_path, line, answers, message):
        with pytest.raises(InputError, match=message):
            contents(chid_records(self.write(tmp_path, [line], answers), "train_file"))
