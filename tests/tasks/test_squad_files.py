import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.span_examples import read_questions
from ambert_tf.tasks.squad_files import span_records

CONTEXT = "南京市长江大桥在南京"


def squad(*questions, context=CONTEXT):
    return {"version": "v1.0", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]}


def question(name="q", answers=(("长江大桥", 3),), **more):
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": "什么？", "answers": listed, **more}


def write(tmp_path, content):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return str(path)


def read(tmp_path, content, split="train", needs_labels=True, null_answers=False):
    return read_questions(span_records(write(tmp_path, content), "train_file"), split, needs_labels, null_answers)


def test_squad(tmp_path):
    found = read(tmp_path, squad(question(), question("r", [("南京", 0), ("大桥", 5)])))
    assert [e.id for e in found.examples] == ["q", "r"]
    assert found.examples[0].span == (3, 7)
    assert found.examples[1].answers == ("南京", "大桥")
    assert found.counts == {"answers": 3, "misaligned_answers": 0, "moved_answers": 0, "left_out": 0}


def test_cmrc2018s_own_layout(tmp_path):
    content = [
        {
            "context_id": "DEV_0", "context_text": CONTEXT, "title": "t",
            "qas": [{"query_id": "DEV_0_QUERY_0", "query_text": "哪？", "answers": ["大桥", "长江大桥"]}],
        }
    ]  # fmt: skip
    (example,) = read(tmp_path, content).examples
    assert (example.id, example.inputs.question, example.span) == ("DEV_0_QUERY_0", "哪？", (5, 7))


def test_misaligned_answers_are_moved_to_the_nearest_place_or_left_out_of_training(tmp_path):
    content = squad(question("moved", [("南京", 7)]), question("lost", [("北京", 3)]), question())
    found = read(tmp_path, content)
    assert [(e.id, e.span) for e in found.examples] == [("moved", (8, 10)), ("q", (3, 7))]
    assert found.counts == {"answers": 3, "misaligned_answers": 2, "moved_answers": 1, "left_out": 1}


def test_the_cause_of_an_answer_that_is_not_found_is_named(tmp_path, caplog):
    context = "Ｔｈｅ café in Paris"
    content = squad(
        question("case", [("paris", -1)]), question("form", [("cafe\u0301", 4)]), question("none", [("Rome", 0)]),
        question("right", [("Paris", 12)]), context=context,
    )  # fmt: skip
    assert [example.id for example in read(tmp_path, content).examples] == ["right"]
    causes = "1 in the context with different case, 1 in the context in a different Unicode form, 1 not in the context"
    assert f"3 questions are skipped ({causes})" in caplog.text
    with pytest.raises(InputError, match=r"question case: the answer .paris. is in the context with different case"):
        read(tmp_path, content, "dev")


def test_questions_without_an_answer(tmp_path):
    content = squad(question("none", [], is_impossible=True, plausible_answers=[]), question())
    found = read(tmp_path, content, null_answers=True)
    assert (found.examples[0].id, found.examples[0].answers, found.examples[0].span) == ("none", (), None)
    with pytest.raises(InputError, match=r"question none: has no answer \(is_impossible\).*--version_2_with_negative"):
        read(tmp_path, content)


def test_a_test_file_needs_no_answers(tmp_path):
    made_up = squad(question("t", [("FAKE_ANSWER_1", -1)]), {"id": "u", "question": "?"})
    assert len(read(tmp_path, made_up, "test", needs_labels=False).examples) == 2
    with pytest.raises(InputError, match=r"question t: the answer .*FAKE_ANSWER_1.* is not in the context; --do_eval"):
        read(tmp_path, made_up, "dev")
    with pytest.raises(InputError, match="question u: has no answers; --do_eval needs a file with answers"):
        read(tmp_path, squad({"id": "u", "question": "?"}), "dev")
    for split, message in (("dev", "--do_eval needs a file with answers"), ("train", "a training question needs one")):
        with pytest.raises(InputError, match=f"question u: has no answers, nor is_impossible; {message}"):
            read(tmp_path, squad({"id": "u", "question": "?"}), split, null_answers=True)
    assert read(tmp_path, squad(question("none", [])), "dev", null_answers=True).examples[0].span is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (squad(question(answers=[("南京", 99)])), "question q: the answer .*南京.* starts at character 99, outside"),
        (squad(question(answers=[("南京", -7)])), "starts at character -7, outside the context of length 10"),
        (squad(question(answers=[("南京", "0")])), "'answer_start' is .0.; it must be an integer"),
        (squad(question(), question()), "question q: another question has the same id"),
        (squad(question(1), question("1")), "question 1: another question has the same id"),
        (squad(question(["l"])), r"article 1: 'id' is \[.l.\]; it must be a string or an integer"),
        (squad(question(None)), "article 1: 'id' is null; it must be a string or an integer"),
        (squad({"id": "q", "question": "?", "answers": 5}), "question q: 'answers' is 5; it must be a list of objects"),
        (squad(question(is_impossible="no")), "question q: 'is_impossible' is .no.; it must be true or false"),
        (squad({"id": "q", "answers": []}), "question q: the key 'question' is missing"),
        (squad({"question": "?"}), "article 1: the key 'id' is missing"),
        ({"data": []}, "has no questions"),
        ({"sentence": "a"}, "is .*sentence.*data.*paragraphs"),
        ({"data": [5]}, "article 1: is 5, not a JSON object"),
    ],
)
def test_wrong_files(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


def test_broken_json_names_the_line(tmp_path):
    path = tmp_path / "train.json"
    path.write_text('{"data": [\n  {"paragraphs": oops}\n]}')
    with pytest.raises(InputError, match=r"train.json, line 2: is not JSON"):
        list(span_records(str(path), "train_file"))
