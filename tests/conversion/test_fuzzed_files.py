"""Whatever a file contains, its reader either returns or raises a one-line InputError."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ambert_tf.conversion.hugging_face import _read_config
from ambert_tf.conversion.hugging_face_tokenizer import read_tokenizer
from ambert_tf.errors import InputError
from ambert_tf.files import read_bytes
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.phrases import read_phrases
from ambert_tf.tokenization.segmenter import build_segmenter, pieces_of, read_jieba_frequencies
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.vocab_file import read_vocabulary
from tests.conversion.google_checkpoint import CONFIG, VOCAB
from tests.tokenizers import english_tokenizer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TOKENIZER_CONFIG = {"do_lower_case": True, "strip_accents": None, "tokenizer_class": "BertTokenizer"}
TOKENIZER = {
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "BertNormalizer", "lowercase": True}]},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {"type": "WordPiece", "vocab": {token: index for index, token in enumerate(VOCAB)}},
}


def places(value, path=()):
    """Yields the path of every value in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def changed(draw, document):
    """A JSON document with one value replaced or removed."""
    document = copy.deepcopy(document)
    path = draw(st.sampled_from(list(places(document))))
    value = draw(JSON)
    if not path:
        return value
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = value
    else:
        del parent[path[-1]]
    return document


def only_input_errors(function, *args):
    try:
        function(*args)
    except InputError as error:
        assert "\n" not in str(error)


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@FUZZ
@given(content=changed({**CONFIG, "model_type": "bert", "layer_norm_eps": 1e-12, "coarse_vocab_size": 20}))
def test_configurations(tmp_path, content):
    path = write_json(tmp_path / "config.json", content)
    only_input_errors(ModelConfig.from_file, path)
    only_input_errors(_read_config, path, "input")


@FUZZ
@given(fast=changed(TOKENIZER), config=changed(TOKENIZER_CONFIG))
def test_tokenizers_of_transformers(tmp_path, fast, config):
    write_json(tmp_path / "tokenizer.json", fast)
    write_json(tmp_path / "tokenizer_config.json", config)
    only_input_errors(read_tokenizer, str(tmp_path), "input")


@settings(FUZZ, max_examples=25)
@given(data=st.data())
def test_tokenizer_directories(tmp_path, data):
    if not (tmp_path / "tokenizer").exists():
        english_tokenizer().save(str(tmp_path / "tokenizer"))
        (tmp_path / "settings.json").write_bytes((tmp_path / "tokenizer" / "tokenizer.json").read_bytes())
    valid = json.loads((tmp_path / "settings.json").read_text())
    write_json(tmp_path / "tokenizer" / "tokenizer.json", data.draw(changed(valid)))
    only_input_errors(MultiGrainedTokenizer.load, str(tmp_path / "tokenizer"))


LINES = st.lists(
    st.binary(max_size=6) | st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")), max_size=6
)


@FUZZ
@given(lines=LINES, separator=st.sampled_from([b"\n", b"\r\n", b"\t", b" "]))
@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_vocabulary(path, "vocab_file"),
        lambda path: list(read_phrases(path)),
        lambda path: build_segmenter({"中国": 5}, read_jieba_frequencies(path)),
        lambda path: pieces_of(read_bytes(path), path),
    ],
    ids=["vocabulary", "phrases", "dictionary", "segmenter"],
)
def test_lines(tmp_path, read, lines, separator):
    (tmp_path / "file").write_bytes(separator.join(lines))
    only_input_errors(read, str(tmp_path / "file"))
