"""Reads corpora from TensorFlow Datasets. Each example is a document, and each line of its text is a sentence.

A split is divided by example numbers into as many parts as it has files. A part is used like a corpus file. Its name,
such as `tfds:wikipedia/20230601.en:1.0.0?split=train&part=3&...`, is all that another process needs to open it.
"""

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from ambert_tf.errors import InputError, one_line

_BATCH_EXAMPLES = 64
# White space, including blank lines, which do not separate documents inside an example.
_LINE_END = re.compile(r"[^\S\n]*\n\s*")


def part_names(dataset: str, data_dir: str | None, split: str, text_key: str) -> list[str]:
    """Returns the names of a data set's parts.

    Args:
      dataset: name, configuration and version in TensorFlow Datasets, such as `wikipedia/20230601.en:1.0.0`.
      data_dir: data directory of TensorFlow Datasets. Defaults to its own default.
      split: the split, such as `train` or `train[:10%]`.
      text_key: name of the text feature.

    Raises:
      InputError: the data set, configuration, split or feature does not exist, or the data set has not been prepared.
    """
    builder = _builder(dataset, data_dir)
    texts = [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Text)]
    if text_key not in texts:
        raise InputError(
            f"--tfds_text_key={text_key}: not a text feature of {dataset}; it has {', '.join(texts) or 'none'}"
        )
    parts, size = 1, 0
    # Mocked data in tests has no splits.
    if builder.info.splits:
        try:
            info = builder.info.splits[split]
            parts = max(1, min(len(info.file_instructions), info.num_examples))
        except (KeyError, ValueError) as error:
            known = ", ".join(builder.info.splits)
            raise InputError(f"--tfds_split={split}: {one_line(error)}; {dataset} has {known}") from None
        whole = sum(builder.info.splits[name].num_bytes for name in builder.info.splits)
        examples = sum(builder.info.splits[name].num_examples for name in builder.info.splits)
        size = whole * info.num_examples // max(1, examples)
    version = f"{'/'.join(filter(None, (builder.name, _config(builder))))}:{builder.version}"
    names = []
    for part in range(parts):
        facts = {"split": split, "part": part, "parts": parts, "text_key": text_key, "bytes": size // parts}
        if data_dir is not None:
            facts["data_dir"] = data_dir
        names.append(f"tfds:{version}?{urllib.parse.urlencode(facts)}")
    # This raises an error if the data set has not been prepared.
    _examples(names[0])
    return names


def size(name: str) -> int:
    """Returns the approximate stored size of a part in bytes."""
    return int(_facts(name)["bytes"])


class TextStream:
    """The text of a part as a file in BERT's format: one sentence per line, an empty line after each document.

    Args:
      name: name of the part.

    Raises:
      InputError: the data set no longer exists.
    """

    def __init__(self, name: str):
        self._name = name
        self._texts = self._lines(_examples(name))
        self._rest = b""
        self._size = size(name)
        self._read = 0

    def read(self, size: int) -> bytes:
        """Returns the next `size` bytes, or fewer at the end."""
        pieces = [self._rest]
        length = len(self._rest)
        while length < size and (text := next(self._texts, b"")):
            pieces.append(text)
            length += len(text)
        content = b"".join(pieces)
        self._rest = content[size:]
        self._read += min(length, size)
        return content[:size]

    def tell(self) -> int:
        """Returns the approximate number of stored bytes that have been read."""
        return min(self._read, self._size)

    def _lines(self, texts: tf.data.Dataset) -> Iterator[bytes]:
        try:
            for batch in texts.batch(_BATCH_EXAMPLES).prefetch(2).as_numpy_iterator():
                for text in batch.tolist():
                    # Keep invalid UTF-8, which `split_documents` reports.
                    lines = _LINE_END.sub("\n", text.decode(errors="surrogateescape").strip())
                    if lines:
                        yield lines.encode(errors="surrogateescape") + b"\n\n"
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise InputError(f"--input_tfds={self._name}: a file is damaged ({one_line(error)})") from None


def _examples(name: str) -> tf.data.Dataset:
    """Returns the texts of a part, string scalars, in stored order."""
    facts = _facts(name)
    data_dir, parts = facts.get("data_dir"), int(facts["parts"])
    dataset = name.removeprefix("tfds:").split("?")[0]
    builder = _builder(dataset, data_dir)
    split = facts["split"] if parts == 1 else tfds.even_splits(facts["split"], parts)[int(facts["part"])]
    key = facts["text_key"]
    try:
        examples = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({key: True}),
            # Read one file after another.
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
    except AssertionError:
        where = "in its default directory" if data_dir is None else f"in --tfds_data_dir={data_dir}"
        raise InputError(
            f"--input_tfds={dataset}: not prepared {where}; prepare it with `tfds build {dataset}`"
        ) from None
    return examples.map(lambda example: example[key])


def _facts(name: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(name.split("?", 1)[1]))


def _builder(dataset: str, data_dir: str | None) -> Any:
    try:
        return tfds.builder(dataset, data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError) as error:
        # The rest of the message is a list of all data sets.
        reason = one_line(error).split(" Available datasets")[0]
        raise InputError(f"--input_tfds={dataset}: {reason[:300]}") from None


def _config(builder: Any) -> str | None:
    return builder.builder_config.name if builder.builder_config else None
