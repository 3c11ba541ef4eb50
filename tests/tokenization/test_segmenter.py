import pytest

from ambert_tf.errors import InputError
from ambert_tf.tokenization.segmenter import build_segmenter, pieces_of, read_jieba_frequencies


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
