import itertools

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tokenization.normalizer import Normalizer
from ambert_tf.tokenization.segmenter import Segmenter, build_segmenter, pieces_of, read_jieba_frequencies

pytestmark = pytest.mark.usefixtures("optimized_graphs")


def words(model):
    return {piece for piece in pieces_of(model, "model") if len(piece) > 1 and not piece.startswith("<")}


def test_a_dictionary_is_read_as_jieba_reads_it(tmp_path):
    path = tmp_path / "user.txt"
    lines = ("云计算 5", "李小福 2 nr", "创新办 3 i", "easy_install 3 eng", "好用 300", "台中", "Edu Trust认证 2000")
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    assert read_jieba_frequencies(str(path)) == {
        "云计算": 5, "李小福": 2, "创新办": 3, "easy_install": 3, "好用": 300, "台中": None, "Edu Trust认证": 2000,
    }  # fmt: skip
    path.write_bytes("好\n".encode() + b"\xc4\xe3\n")
    with pytest.raises(InputError, match=r"user\.txt, line 2: not UTF-8"):
        read_jieba_frequencies(str(path))


def test_a_word_without_a_count_stays_whole_and_a_count_of_0_removes_one():
    counts = {"台": 50, "中": 80, "南京": 20, "南京市": 9}
    model = build_segmenter(counts, {"台中": None, "南京市": 0, "T恤": 3})
    assert words(model) == {"台中", "南京"}


def segments(segmenter, text):
    """Returns the segments of a text, without other texts and together with a short one."""
    segment = tf.function(segmenter.segment, autograph=False)
    alone, batch = (
        segment(Normalizer(True, False)(tf.constant(texts)))[1].numpy().tolist() for texts in ([text], [text, "了的"])
    )
    assert batch[: len(alone)] == alone
    return [text[start:end] for start, end in itertools.pairwise([*alone, len(text)])]


def test_segmentation_does_not_depend_on_the_length_of_the_text_before():
    segmenter = Segmenter(build_segmenter(read_jieba_frequencies(), {"是一个": None, "他的": None}), {})
    sentence = "这是一个人，他的ok"
    expected = ["这", "是一个", "人", "，", "他的", "o", "k"]
    assert segments(segmenter, sentence) == expected
    for repetitions in (10, 2000, 4000):
        prefix = "我们在北京大学学习，" * repetitions
        found = segments(segmenter, prefix + sentence)
        assert found[:5] == ["我们", "在", "北京大学", "学习", "，"]
        assert found[-len(expected) :] == expected
