import pytest

from ambert_tf.tasks.cmrc_metrics import exact_match, f1, question_scores, units, words


def test_units_are_characters_and_words():
    assert units("光荣和ω-force开发") == ["光", "荣", "和", "ωforce", "开", "发"]
    # As in the official script, words are not separated by punctuation that is removed.
    assert units("在《Nature News》，2008年3.5万") == ["在", "nature", "news2008", "年", "3.5", "万"]
    assert units("  ") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("he can't go.", ["he", "ca", "n't", "go", "."]),
        ("henry a. walsh.", ["henry", "a.", "walsh", "."]),
        ("3,500k, or 5", ["3,500k", ",", "or", "5"]),
        ('say "so" (now)', ["say", "``", "so", "''", "(", "now", ")"]),
        ("the student's", ["the", "student", "'s"]),
        ("1936–37...", ["1936", "–", "37", "..."]),
        ("you cannot", ["you", "can", "not"]),
        ("gonna", ["gon", "na"]),
        ("'so' x", ["'", "so", "'", "x"]),
        ("«so»", ["«", "so", "»"]),
        ("28℃ 5.56×45", ["28℃", "5.56×45"]),
        ("", []),
    ],
)
def test_words_follow_the_penn_treebanks_rules(text, expected):
    assert words(text) == expected


def test_worked_examples():
    # The longest common run is 长江大桥: four of seven units and four of four.
    assert f1("南京市长江大桥", "长江大桥") == pytest.approx(2 * (4 / 7) / (4 / 7 + 1))
    # 长江 and 大桥 are common, but not adjacent: the longest run has two units.
    assert f1("长江的大桥", "长江大桥") == pytest.approx(2 * (2 / 5) * (2 / 4) / (2 / 5 + 2 / 4))
    assert f1("北", "南") == 0
    assert f1("", "南") == 0


def test_punctuation_and_case_do_not_count():
    assert exact_match("《DOS》", "dos") == 1
    assert exact_match("1992年，5日", "1992年5日") == 1
    assert exact_match("1992年", "1993年") == 0


def test_the_best_of_three_answers_counts():
    assert question_scores("光荣", ["ω-force", "光荣", "光荣和ω-force"]) == {"mixed_exact_match": 1, "mixed_f1": 1}
