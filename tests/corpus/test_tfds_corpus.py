from itertools import pairwise

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from ambert_tf.corpus.documents import plan_units, read_unit, split_documents
from ambert_tf.corpus.sources import CorpusSettings
from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.create import create_pretraining_data
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.vocabulary_settings import VocabularySettings
from tests.tokenizers import chinese_tokenizer

ARTICLES = ["南京市长江大桥。\n\n商店里的乒乓球拍\r\n　\n卖完了。\n", " \n\t", "中国人民生活好。"]
DOCUMENTS = [["南京市长江大桥。", "商店里的乒乓球拍", "卖完了。"], ["中国人民生活好。"]]


@pytest.fixture
def wikipedia():
    """Mocks TensorFlow Datasets, with its own tools, to return the articles as those of Wikipedia."""

    def articles(builder, split, **_):
        assert split == "train"
        return tf.data.Dataset.from_tensor_slices({"title": ["a", "b", "c"], "text": ARTICLES})

    with tfds.testing.mock_data(num_examples=3, as_dataset_fn=articles):
        yield CorpusSettings(input_tfds="wikipedia/20230601.en")


@pytest.fixture(scope="module")
def numbers_dir(tmp_path_factory):
    """A prepared data set of texts "0", "1", ...: 60 in three files to train, 3 to test."""
    directory = tmp_path_factory.mktemp("tfds")
    version = directory / "numbers" / "1.0.0"
    version.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="numbers", version=tfds.core.Version("1.0.0"), data_dir=str(version), module_name="numbers"
    )
    features = tfds.features.FeaturesDict({"body": tfds.features.Text(), "id": tf.int64})
    info = tfds.core.DatasetInfo(builder=identity, features=features)
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=20)
    writer.initialize_splits(["train", "test"])
    for split, count in (("train", 60), ("test", 3)):
        examples = [{"body": f"{number}\nof\n\n{count}", "id": number} for number in range(count)]
        writer.add_examples({split: examples})
    writer.close_all()
    return str(directory)


def documents_in(names, unit_bytes=1 << 20):
    found = []
    for unit in plan_units(names, unit_bytes):
        documents = split_documents(read_unit(unit, unit_bytes))
        sentences = [sentence.decode() for sentence in documents.sentences]
        found += [sentences[start:end] for start, end in pairwise(documents.splits)]
    return found


def test_examples_are_documents_and_lines_sentences(wikipedia):
    (name,) = wikipedia.source_names()
    assert name.startswith("tfds:wikipedia/20230601.en:1.0.0?split=train&")
    assert documents_in([name]) == DOCUMENTS


def test_mocked_examples_are_read():
    with tfds.testing.mock_data(num_examples=7):
        found = documents_in(CorpusSettings(input_tfds="wikipedia/20230601.en").source_names())
    assert len(found) == 7


def test_records_and_vocabularies_are_created_from_tfds(wikipedia, tmp_path):
    chinese_tokenizer().save(str(tmp_path / "tokenizer"))
    plain = tmp_path / "plain.txt"
    plain.write_text("\n\n".join("\n".join(document) for document in DOCUMENTS), encoding="utf-8")
    settings = {"tokenizer_dir": str(tmp_path / "tokenizer"), "num_workers": 1, "max_seq_length": 16}
    files = []
    for output, corpus in (("a", {"input_tfds": wikipedia.input_tfds}), ("b", {"input_file": str(plain)})):
        path = tmp_path / output / "records"
        stats = create_pretraining_data(CreationSettings(output_file=str(path), **corpus, **settings))
        assert stats["documents"] == 2
        files.append(path.read_bytes())
    assert files[0] == files[1]

    phrases = tmp_path / "phrases.tsv"
    phrases.write_text("a b\t3\t-1\n")
    report = build_tokenizer(
        VocabularySettings(
            input_tfds=wikipedia.input_tfds,
            language="en",
            phrases_file=str(phrases),
            fine_vocab_file=str(tmp_path / "tokenizer" / "fine_vocab.txt"),
            output_dir=str(tmp_path / "built"),
        )
    )
    assert report.fine_tokens == sum(len(sentence) for document in DOCUMENTS for sentence in document)


def test_beam_creates_the_same_records_from_parts(numbers_dir, tmp_path):
    chinese_tokenizer().save(str(tmp_path / "tokenizer"))
    corpus = {"input_tfds": "numbers", "tfds_data_dir": numbers_dir, "tfds_text_key": "body"}
    for runner, beam_options in (("local", ()), ("beam", ("--runner=DirectRunner",))):
        settings = CreationSettings(
            **corpus, tokenizer_dir=str(tmp_path / "tokenizer"), output_file=str(tmp_path / runner / "records"),
            max_seq_length=16, runner=runner, beam_options=beam_options,
        )  # fmt: skip
        assert create_pretraining_data(settings)["documents"] == 60
    assert (tmp_path / "local" / "records").read_bytes() == (tmp_path / "beam" / "records").read_bytes()


def test_a_split_is_divided_into_as_many_parts_as_it_has_files(numbers_dir):
    corpus = CorpusSettings(input_tfds="numbers", tfds_data_dir=numbers_dir, tfds_text_key="body")
    names = corpus.source_names()
    assert len(names) == 3
    parts = [documents_in([name], 100) for name in names]
    assert [len(part) for part in parts] == [20, 20, 20]
    found = [document for part in parts for document in part]
    assert found == [[str(number), "of", "60"] for number in range(60)]
    assert documents_in(names) == found


def test_parts_of_a_split_are_splits(numbers_dir):
    corpus = CorpusSettings(
        input_tfds="numbers", tfds_data_dir=numbers_dir, tfds_text_key="body", tfds_split="train[:10%]+test"
    )
    found = documents_in(corpus.source_names())
    assert len(found) == 9 and sum(document[-1] == "3" for document in found) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_tfds": "nosuch"}, "--input_tfds=nosuch: Dataset nosuch not found"),
        ({"input_tfds": "wikipedia/xx"}, "--input_tfds=wikipedia/xx: .*BuilderConfig xx not found"),
        ({"input_tfds": "wikipedia/20230601.en"}, "not prepared in --tfds_data_dir=.*; prepare it with `tfds build"),
        ({"tfds_text_key": "id"}, "--tfds_text_key=id: not a text feature of numbers; it has body"),
        ({"tfds_split": "dev"}, "--tfds_split=dev: .*; numbers has "),
        ({"tfds_split": "train[:x]"}, r"--tfds_split=train\[:x\]: "),
        ({"input_file": "a.txt"}, "exactly one of --input_file and --input_tfds is needed"),
        ({"input_tfds": None, "input_file": "a"}, "--tfds_data_dir: is for --input_tfds; omit it with --input_file"),
        ({"input_tfds": None}, "exactly one of --input_file and --input_tfds is needed"),
    ],
)
def test_wrong_flags_are_named(numbers_dir, changes, message):
    settings = {"input_tfds": "numbers", "tfds_data_dir": numbers_dir, "tfds_text_key": "body", **changes}
    if str(settings["input_tfds"]).startswith("wikipedia"):
        settings["tfds_text_key"] = "text"
    with pytest.raises(InputError, match=message):
        CorpusSettings(**settings).source_names()
