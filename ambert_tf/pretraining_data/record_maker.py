"""`RecordMaker`: from a unit of the corpus to its records. They depend on unit and settings, but not on the runner."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from ambert_tf.corpus.documents import Documents, Unit, read_unit, split_documents
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.examples import NEXT_SENTENCE_FEATURE, Column, encode_examples
from ambert_tf.pretraining_data.masking import MaskingSettings, mask_sequences
from ambert_tf.pretraining_data.packing import PackingSettings, TokenizedUnit, keep_documents, pack
from ambert_tf.pretraining_data.random_keys import fold, seed_key
from ambert_tf.pretraining_data.sequences import assemble
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# Block sizes of tokenization and masking, which bound memory.
_TOKENIZE_BYTES = 1 << 18
_MASK_SEQUENCES = 1024

# Numbers folded into the key of a pass over a unit, or of a sequence, for independent random draws.
_PACKING_DRAWS, _SEQUENCES = 1, 2
_MASK_DRAWS, _ORDER_DRAW = 1, 2


@dataclasses.dataclass(frozen=True)
class UnitRecords:
    """The records of a unit.

    Attributes:
      order: uint64 [records], random numbers. Sorting the records of all units by them shuffles the records.
      records: serialized examples.
      counts: statistics, to be summed over units.
    """

    order: np.ndarray
    records: list[bytes]
    counts: dict[str, int]


class RecordMaker:
    """Creates the records of units.

    Args:
      tokenizer: the tokenizer.
      packing: settings of packing.
      masking: settings of masking, or None for dynamic masking at training time.
      dupe_factor: number of times each unit is packed and masked, differently each time.
      seed: random seed. Every draw depends on it and on the unit's identity.
      errors: "strict" or "replace", for lines that are not UTF-8.
    """

    def __init__(
        self,
        tokenizer: MultiGrainedTokenizer,
        packing: PackingSettings,
        masking: MaskingSettings | None,
        dupe_factor: int,
        seed: int,
        errors: str = "strict",
    ):
        self._tokenizer = tokenizer
        self._packing = packing
        self._masking = masking
        self._dupe_factor = dupe_factor
        self._seed = seed
        self._errors = errors
        # Without autograph, which would take seconds in each process. There is no Python control flow to convert.
        text = tf.TensorSpec([None], tf.string)
        self._tokenize = tf.function(self._tokenize_graph, input_signature=[text], autograph=False)
        self._mask = tf.function(self._mask_graph, reduce_retracing=True, autograph=False)

    @classmethod
    def for_settings(cls, settings: CreationSettings, tokenizer: MultiGrainedTokenizer) -> "RecordMaker":
        """Returns the record maker of a data creation run."""
        packing = PackingSettings(
            max_seq_length=settings.max_seq_length,
            max_coarse_seq_length=settings.max_coarse_seq_length or settings.max_seq_length,
            short_seq_prob=settings.short_seq_prob,
            next_sentence=settings.do_nsp,
        )
        masking = None
        if settings.masking == "static":
            masking = MaskingSettings.for_tokenizer(
                tokenizer,
                max_seq_length=packing.max_seq_length,
                max_coarse_seq_length=packing.max_coarse_seq_length,
                masked_lm_prob=settings.masked_lm_prob,
                max_predictions_per_seq=settings.max_predictions_per_seq,
                max_coarse_predictions_per_seq=settings.max_coarse_predictions_per_seq,
            )
        return cls(tokenizer, packing, masking, settings.effective_dupe_factor, settings.random_seed, settings.errors)

    def __call__(self, unit: Unit) -> UnitRecords:
        """Returns the records of a unit.

        Raises:
          InputError: a line is not UTF-8, or a coarse token has too many fine tokens for a sequence.
        """
        documents = split_documents(read_unit(unit), self._errors)
        tokens, too_short = self.tokenize(documents)
        counts = collections.Counter(
            documents=len(documents.splits) - 1,
            documents_too_short=too_short,
            documents_cut=documents.documents_cut,
            lines_replaced=documents.lines_replaced,
            text_bytes=documents.size_bytes,
        )
        unit_key = fold(fold(seed_key(self._seed), unit.file), unit.window)
        order: list[np.ndarray] = []
        records: list[bytes] = []
        for dupe in range(self._dupe_factor):
            dupe_key = fold(unit_key, dupe)
            for keys, batch in self._batches(tokens, dupe_key):
                self._count(batch, counts)
                order.append(fold(keys, _ORDER_DRAW))
                records.extend(encode_examples(batch))
        return UnitRecords(np.concatenate(order) if order else np.zeros(0, np.uint64), records, dict(counts))

    def tokenize(self, documents: Documents) -> tuple[TokenizedUnit, int]:
        """Tokenizes documents. Returns those that are long enough, and the number of those that are too short."""
        fine_ids, coarse_ids, fine_counts, coarse_lengths = [], [], [], []
        for sentences in _blocks(documents.sentences, _TOKENIZE_BYTES):
            fine, coarse, counts, lengths = self._tokenize(tf.constant(sentences, tf.string))
            fine_ids.append(fine.numpy())
            coarse_ids.append(coarse.numpy())
            fine_counts.append(counts.numpy())
            coarse_lengths.append(lengths.numpy())
        return keep_documents(
            _concatenate(coarse_ids),
            _concatenate(fine_ids),
            _splits(_concatenate(fine_counts)),
            _splits(_concatenate(coarse_lengths)),
            np.asarray(documents.splits),
        )

    def _tokenize_graph(self, sentences: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns flat fine and coarse ids, fine tokens per coarse token, and coarse tokens per sentence."""
        fine_ids, coarse_ids, fine_counts = self._tokenizer.ids(sentences)
        return fine_ids.flat_values, coarse_ids.flat_values, fine_counts, coarse_ids.row_lengths()

    def _batches(self, tokens: TokenizedUnit, dupe_key: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, Column]]]:
        """Yields the keys and the features of sequences, block by block."""
        sequences = pack(tokens, self._packing, int(fold(dupe_key, _PACKING_DRAWS)))
        count = len(sequences.segments)
        keys = fold(fold(dupe_key, _SEQUENCES), np.arange(count))
        for first in range(0, count, _MASK_SEQUENCES):
            last = min(first + _MASK_SEQUENCES, count)
            batch = assemble(tokens, sequences, first, last, self._tokenizer.cls_id, self._tokenizer.sep_id)
            if self._masking is not None:
                batch = self._mask_batch(batch, fold(keys[first:last], _MASK_DRAWS))
            yield keys[first:last], batch

    def _mask_batch(self, batch: dict[str, Column], keys: np.ndarray) -> dict[str, Column]:
        names = ("fine_input_ids", "coarse_input_ids", "fine_to_coarse")
        ragged = {name: tf.RaggedTensor.from_row_splits(*batch[name], validate=False) for name in names}
        masked = self._mask(ragged, tf.constant(keys))
        columns = {name: (value.flat_values.numpy(), value.row_splits.numpy()) for name, value in masked.items()}
        return batch | columns

    def _mask_graph(self, inputs: dict[str, tf.RaggedTensor], keys: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        assert self._masking is not None
        return mask_sequences(inputs, keys, self._masking)

    def _count(self, batch: dict[str, Column], counts: collections.Counter[str]) -> None:
        segments = 2 if self._packing.next_sentence else 1
        sequences = len(batch["fine_input_ids"][1]) - 1
        specials = sequences * (segments + 1)
        counts["sequences"] += sequences
        for grain in ("fine", "coarse"):
            counts[f"{grain}_tokens"] += len(batch[f"{grain}_input_ids"][0]) - specials
            if self._masking is not None:
                counts[f"{grain}_masked_tokens"] += len(batch[f"{grain}_masked_lm_ids"][0])
        # In fine_to_coarse, a run of equal positions is a coarse token with several fine tokens. Count each run once.
        holder = batch["fine_to_coarse"][0]
        repeats = np.diff(holder) == 0
        counts["coarse_tokens_of_several_fine"] += int(np.sum(repeats & ~np.concatenate(([False], repeats[:-1]))))
        if NEXT_SENTENCE_FEATURE in batch:
            counts["random_next_sentences"] += int(batch[NEXT_SENTENCE_FEATURE][0].sum())


def _blocks(sentences: Sequence[bytes], size_bytes: int) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for sentence in sentences:
        if block and size + len(sentence) > size_bytes:
            yield block
            block, size = [], 0
        block.append(sentence)
        size += len(sentence)
    if block:
        yield block


def _concatenate(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int32)


def _splits(lengths: np.ndarray) -> np.ndarray:
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits
