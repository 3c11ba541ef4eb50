import numpy as np
import pytest
import scipy.sparse

from ambert_tf.errors import InputError
from ambert_tf.vocabulary.cooccurrence import count_cooccurrences, factorize, positive_pmi, run_build_embeddings
from ambert_tf.vocabulary.cooccurrence_settings import CooccurrenceSettings
from tests.tokenizers import chinese_tokenizer

SENTENCES = ["中国人民的生活", "南京市长江大桥", "商店里的乒乓球拍卖完了", "中国的大桥好", "人民里的商店好"]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in SENTENCES) + "\n" + "人民的中国\n" * 30, encoding="utf-8")
    tokenizer = tmp_path / "tokenizer"
    chinese_tokenizer().save(str(tokenizer))
    return {"input_file": str(path), "tokenizer_dir": str(tokenizer), "output_file": str(tmp_path / "embeddings.npz")}


def test_counts_of_a_sentence(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("中国人民的\n\n的\n", encoding="utf-8")  # coarse tokens: 中国, 人民, 的
    tokenizer = chinese_tokenizer()
    cells, counts = count_cooccurrences([str(path)], tokenizer, window_size=1)
    ids = {token: index for index, token in enumerate(tokenizer.fine_vocab)}
    ids |= {token + " ": tokenizer.fine_vocab_size + index for index, token in enumerate(tokenizer.coarse_vocab)}
    names = {index: token for token, index in ids.items()}
    found = {(names[row], names[column]): count for (row, column), count in dict(cells.todok()).items()}
    expected = {}
    for one, others in {
        "中": "国人", "国": "中人民", "人": "中国民的", "民": "国人的", "的": "人民",  # fine: at most 2 apart
    }.items():  # fmt: skip
        expected |= {(one, other): 1 for other in others}
    for one, others in {
        # A coarse token has a space after it here. Fine tokens have the neighbours of their coarse token.
        "中": ["人民 "], "国": ["人民 "], "人": ["中国 ", "的 "], "民": ["中国 ", "的 "], "的": ["人民 "],
        "中国 ": ["人民 "], "人民 ": ["中国 ", "的 "], "的 ": ["人民 "],
    }.items():  # fmt: skip
        expected |= {(one, other): 1 for other in others}
    assert found == expected
    assert counts[ids["的"]] == counts[ids["的 "]] == 2
    assert counts[ids["中国 "]] == 1


def test_positive_pmi_of_known_counts():
    cells = scipy.sparse.csr_matrix(np.array([[8, 2], [2, 8], [1, 0]], np.float32))
    contexts = np.array([11, 10]) ** 0.75
    contexts /= contexts.sum()
    expected = np.array([[np.log(0.8 / contexts[0]), 0], [0, np.log(0.8 / contexts[1])], [0, 0]])
    np.testing.assert_allclose(positive_pmi(cells).toarray(), expected, rtol=1e-6)


def test_factorize_approximates_the_matrix():
    random = np.random.default_rng(0)
    factors = random.normal(size=(60, 4))
    matrix = scipy.sparse.csr_matrix(factors @ factors.T)
    found = factorize(matrix, 4, seed=1)
    np.testing.assert_allclose(found @ found.T, matrix.toarray(), atol=1e-4)
    np.testing.assert_array_equal(found, factorize(matrix, 4, seed=1))


def test_the_file_has_embeddings_of_the_tokens_that_occur(corpus, capsys):
    run_build_embeddings(CooccurrenceSettings(**corpus, embedding_size=8))
    tokenizer = chinese_tokenizer()
    with np.load(corpus["output_file"]) as file:
        found = dict(file)
    assert found["tokenizer_fingerprint"] == tokenizer.fingerprint
    for grain, vocab in (("fine", tokenizer.fine_vocab), ("coarse", tokenizer.coarse_vocab)):
        assert found[f"{grain}_embeddings"].shape == (len(vocab), 8)
        assert found[f"{grain}_embeddings"].dtype == np.float32
        assert found[f"{grain}_counts"][vocab.index("的")] == 34
        assert not found[f"{grain}_embeddings"][:5].any()  # special tokens
    vectors = found["coarse_embeddings"][[tokenizer.coarse_vocab.index(word) for word in ("中国", "人民", "乒乓球")]]
    assert vectors[0].any() and vectors[1].any()
    assert not vectors[2].any()  # all of its co-occurrences are single
    assert "coarse embeddings" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    contents = []
    for name in ("a", "b"):
        output = tmp_path / f"{name}.npz"
        run_build_embeddings(CooccurrenceSettings(**{**corpus, "output_file": str(output)}, embedding_size=8))
        contents.append(output.read_bytes())
    assert contents[0] == contents[1]


def test_an_output_that_cannot_be_written_is_refused_before_the_corpus_is_read(corpus, tmp_path):
    (tmp_path / "out.npz").mkdir()
    for output, message in (
        (tmp_path / "out.npz", "is a directory; name a file in it"),
        (tmp_path / "corpus.txt" / "out.npz", "corpus.txt is a file where a directory is needed"),
    ):
        with pytest.raises(InputError, match=f"--output_file=.*: .*{message}"):
            CooccurrenceSettings(**{**corpus, "output_file": str(output)}).validate()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"embedding_size": 128}, "tokens co-occur with others, too few for --embedding_size=128"),
        ({"output_file": "embeddings.npy"}, r"--output_file=embeddings.npy: must end with .npz"),
        ({"window_size": 0}, "--window_size=0: must be at least 1"),
        ({"tokenizer_dir": ""}, "--tokenizer_dir is needed"),
        ({"input_file": None}, "exactly one of --input_file and --input_tfds is needed"),
    ],
)
def test_bad_flags(corpus, flags, message):
    with pytest.raises(InputError, match=message):
        run_build_embeddings(CooccurrenceSettings(**{**corpus, **flags}))
