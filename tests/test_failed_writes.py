"""A full disk, a file size limit or a read-only file system cause a one-line error and no partial output."""

import os
import resource
import subprocess

import pytest

from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig
from ambert_tf.pretraining_data.create import create_pretraining_data
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.tokenization.phrases import phrases_content
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.vocab_file import write_vocabulary
from ambert_tf.training.checkpoints import Checkpoints
from tests.conversion.google_checkpoint import CONFIG, VOCAB, values, write_google_checkpoint
from tests.serving.models import export, model_directory
from tests.small_models import masked_lm
from tests.tokenizers import chinese_tokenizer

# Files of more than a megabyte.
LONG_CONFIG = {**CONFIG, "max_position_embeddings": 100_000}
LONG_VOCAB = [*VOCAB, *(f"token{index}" for index in range(150_000))]
LIMIT_BYTES = 1_000_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sources")
    tensors = values()
    embeddings = tensors["bert/embeddings/position_embeddings"]
    tensors["bert/embeddings/position_embeddings"] = embeddings[:1].repeat(100_000, 0)
    google = write_google_checkpoint(directory / "google", tensors, LONG_CONFIG)
    hugging_face = str(directory / "hugging_face")
    convert_checkpoint(
        ConversionSettings(from_format="google_bert", to_format="huggingface", input=google, output=hugging_face)
    )
    chinese_tokenizer().save(str(directory / "tokenizer"))
    (directory / "corpus.txt").write_text("中国人民的生活好。\n南京市长江大桥好。\n\n" * 40, encoding="utf-8")
    return {
        "google_bert": google,
        "huggingface": hugging_face,
        "tokenizer": str(directory / "tokenizer"),
        "corpus": str(directory / "corpus.txt"),
    }


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of 500 kB, which requires permission to mount one."""
    directory = str(tmp_path_factory.mktemp("disk"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", directory]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no permission to mount a file system")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def remount(directory, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", directory], check=True)


WRITERS = ["google_bert", "huggingface", "ambert", "tokenizer", "vocabulary", "checkpoint", "records", "export"]


def write(kind, sources, output):
    """Writes a file or directory of more than a megabyte."""
    if kind in ("google_bert", "huggingface", "ambert"):
        source = "huggingface" if kind == "google_bert" else "google_bert"
        convert_checkpoint(
            ConversionSettings(from_format=source, to_format=kind, input=sources[source], output=output)
        )
    elif kind == "tokenizer":
        long_tokenizer().save(output)
    elif kind == "vocabulary":
        write_vocabulary(LONG_VOCAB, output)
    elif kind == "records":
        flags = {"max_seq_length": 16, "dupe_factor": 200, "num_workers": 1, "tokenizer_dir": sources["tokenizer"]}
        create_pretraining_data(
            CreationSettings(input_file=sources["corpus"], output_file=os.path.join(output, "part"), **flags)
        )
    elif kind == "export":
        export(model_directory(), output)
    else:
        Checkpoints(output, masked_lm(ModelConfig(**LONG_CONFIG, model_type="bert_fine")), {}).save(7)


def long_tokenizer():
    return MultiGrainedTokenizer(
        language="en", fine_vocab=VOCAB, coarse_vocab=LONG_VOCAB, language_file=phrases_content([])
    )


def files_below(directory):
    return sorted(os.path.join(top, name) for top, _, names in os.walk(directory) for name in names)


def check(kind, sources, directory, match):
    output = os.path.join(directory, kind)
    with pytest.raises(InputError, match=match) as caught:
        write(kind, sources, output)
    assert "\n" not in str(caught.value)
    assert directory in str(caught.value)
    assert ".tmp-" not in str(caught.value)
    assert files_below(directory) == []


@pytest.mark.parametrize("kind", WRITERS)
def test_full_disk(kind, sources, small_disk):
    check(kind, sources, small_disk, "no space left on device; free up disk space, or choose another")


@pytest.mark.parametrize("kind", WRITERS)
def test_read_only_file_system(kind, sources, small_disk):
    remount(small_disk, "ro")
    try:
        message = "is not writable; choose another directory|the file system is read-only; choose another"
        check(kind, sources, small_disk, message)
    finally:
        remount(small_disk, "rw")


@pytest.mark.parametrize("kind", WRITERS)
def test_file_size_limit(kind, sources, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    try:
        check(kind, sources, str(tmp_path), "the file is larger than the file system or the process's limit allows")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
