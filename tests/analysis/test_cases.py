import json
import shutil

import pytest

from ambert_tf.analysis.case_table import Case, Segmented, format_table, segmented_texts, shown_cases, table_format
from ambert_tf.analysis.cases import find_cases
from ambert_tf.errors import InputError
from tests.serving.models import model_directory
from tests.tokenizers import chinese_tokenizer, english_tokenizer

CASE = Case(7, [Segmented("长/江", "长江"), Segmented("好", "好")], "a", {"fine": "b", "joint": "a"})


def test_tokenizations_are_written_as_in_the_paper():
    assert segmented_texts(chinese_tokenizer(), ["南京市长江大桥"]) == [("南/京/市/长/江/大/桥", "南京市/长江大桥")]
    assert segmented_texts(english_tokenizer(), ["New York city"]) == [("New York city", "New_York city")]


def test_text_table():
    assert format_table([CASE], 3, 10, "text") == (
        "Predictions differ on 3 of 10 examples; 1 are shown\n\n[7] label a; fine ✗ b, joint a\n"
        "  fine:   长/江\n  coarse: 长江\n  fine:   好\n  coarse: 好\n"
    )


def test_markdown_table_escapes_special_characters():
    case = CASE._replace(texts=[Segmented("a|b_c", "<x>")])
    lines = format_table([case], 1, 10, "markdown").splitlines()
    assert lines[2] == "| id | fine tokens; coarse tokens | label | fine | joint |"
    assert lines[4] == r"| 7 | a\|b\_c<br>(\<x>) | a | ✗ b | a |"


def test_html_table_marks_wrong_predictions():
    page = format_table([CASE._replace(texts=[Segmented("<b>", "x")])], 1, 1, "html")
    assert '<td class="wrong">✗ b</td><td class="right">a</td>' in page and "&lt;b&gt;" in page


def test_file_ending_determines_the_format():
    assert [table_format(name, "") for name in ("a.md", "a.html", "a.txt", "")] == ["markdown", "html", "text", "text"]
    with pytest.raises(InputError, match="--format=pdf: must be one of markdown, html, text"):
        table_format("", "pdf")


def test_sampled_cases_keep_their_order():
    cases = [CASE._replace(id=number) for number in range(9)]
    assert [case.id for case in shown_cases(cases, 20, 0)] == list(range(9))
    drawn = [case.id for case in shown_cases(cases, 4, 0)]
    assert len(drawn) == 4 and drawn == sorted(drawn)


@pytest.fixture
def data_dir(tmp_path):
    texts = ["南京市长江大桥", "中国人民的生活", "乒乓球拍卖完了", "好", "商店里的好", "长江大桥", "人民", "拍卖"]
    lines = [json.dumps({"sentence": text, "label": "abc"[number % 3]}) for number, text in enumerate(texts)]
    (tmp_path / "dev.json").write_text("\n".join(lines), encoding="utf-8")
    return str(tmp_path)


def test_cases_compare_the_heads_of_one_model(data_dir):
    cases, examples = find_cases([model_directory()], data_dir)
    assert examples == 8 and cases  # the heads of a randomly initialized model seldom agree
    for case in cases:
        assert list(case.predicted) == ["fine", "coarse", "joint"] and len(set(case.predicted.values())) > 1
        assert case.label == "abc"[int(case.id) % 3]


def test_cases_compare_several_models(data_dir):
    directories = [model_directory(model_type=name) for name in ("ambert", "bert_fine", "bert_coarse")]
    cases, _ = find_cases(directories, data_dir, names=["AMBERT", "char", "word"])
    assert all(list(case.predicted) == ["AMBERT", "char", "word"] for case in cases)
    with pytest.raises(InputError, match="two models have the same name"):
        find_cases(directories, data_dir)


def test_models_with_and_without_augmentation_read_the_same_examples(tmp_path):
    """In training, the first example would count twice, and the models disagree on it."""
    lines = []
    for number, text in enumerate(("她的南京", "中国的人民", "商店的球拍")):
        target = {"span1_text": text[:2], "span1_index": 0, "span2_text": text[0], "span2_index": 0}
        lines.append(json.dumps({"idx": number, "text": text, "target": target, "label": "true"}))
    (tmp_path / "train.json").write_text("\n".join(lines), encoding="utf-8")
    plain = model_directory("marked")
    augmented = shutil.copytree(plain, tmp_path / "augmented")
    content = json.loads((augmented / "task.json").read_text())
    (augmented / "task.json").write_text(json.dumps({**content, "data_augmentation": "duplicated"}))
    for directories in ([plain, str(augmented)], [str(augmented), plain]):
        assert find_cases(directories, str(tmp_path), split="train") == ([], 3)


def test_model_with_one_head_is_an_error(data_dir):
    with pytest.raises(InputError, match="has only one head"):
        find_cases([model_directory(model_type="bert_fine")], data_dir)
