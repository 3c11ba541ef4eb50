"""`TextModel`: a model for notebooks, from texts to tokens, vectors, attention weights and predictions."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_file
from ambert_tf.models.ambert_masked_lm import PRETRAINING_HEADS, AmbertMaskedLM
from ambert_tf.models.inference import INFERENCES
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION, SEQUENCE_LABELLING, SPANS
from ambert_tf.models.task_inputs import pad_choices
from ambert_tf.serving.check_inputs import wrong_value
from ambert_tf.serving.layout import Facts
from ambert_tf.serving.mask_filler import FilledMask, MaskFiller
from ambert_tf.serving.served_model import SERVING_DEFAULT, ServedModel
from ambert_tf.training.checkpoints import restore_variables
from ambert_tf.training.loaded_model import LoadedModel, load_model

BATCH_SIZE = 32

Function = Callable[..., dict[str, tf.Tensor]]


class Tokenization(NamedTuple):
    """The fine and the coarse tokens of a text. `print` shows both, aligned.

    Attributes:
      text: the text.
      fine, coarse: the tokens, as spelled in the text.
      fine_ids, coarse_ids: the token ids, int32.
      fine_offsets, coarse_offsets: byte offsets into the text, int32 [tokens, 2].
      fine_to_coarse: the index of each fine token's coarse token, int32.
    """

    text: str
    fine: list[str]
    coarse: list[str]
    fine_ids: np.ndarray
    coarse_ids: np.ndarray
    fine_offsets: np.ndarray
    coarse_offsets: np.ndarray
    fine_to_coarse: np.ndarray

    def __str__(self) -> str:
        pieces: list[list[str]] = [[] for _ in self.coarse]
        for token, coarse in zip(self.fine, self.fine_to_coarse, strict=True):
            pieces[coarse].append(token)
        lines = ["coarse: " + " | ".join(self.coarse)]
        lines.append("fine:   " + " | ".join(" ".join(group) for group in pieces))
        return "\n".join(lines)


class Encoding(NamedTuple):
    """Vectors of one text at one grain.

    Attributes:
      sequence: the vectors of all tokens, including [CLS] and [SEP], float32 [length, hidden].
      cls: the vector of [CLS], float32 [hidden].
    """

    sequence: np.ndarray
    cls: np.ndarray


class TextModel:
    """A model that takes texts, loaded from a model directory or an export; see `ambert_tf.load`.

    >>> model = ambert_tf.load("classifier")
    >>> print(model.tokenize(["商店里的乒乓球拍卖完了"])[0])
    >>> model.encode(["服务很好"])["fine"][0].cls
    >>> model.predict(["服务很好"])
    >>> ambert_tf.load("ambert_tiny_zh").fill_mask(["服务很[MASK]"])

    Args:
      functions: functions of string tensors by name; see `ServedModel`.
      facts: description of the model.
      mask_filler: returns a `MaskFiller`, if the model has masked-LM heads.

    Attributes:
      facts: the model's `task`, `config`, `signatures`, etc.
    """

    def __init__(
        self, functions: Mapping[str, Function], facts: Facts, mask_filler: Callable[[], MaskFiller] | None = None
    ) -> None:
        self._functions = dict(functions)
        self.facts = facts
        self._mask_filler = mask_filler and functools.cache(mask_filler)

    @property
    def grains(self) -> tuple[str, ...]:
        """The grains that the model reads."""
        return self.facts.config.grains

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arguments of `predict`, in order."""
        return tuple(self._signature(SERVING_DEFAULT))

    def tokenize(self, texts: Sequence[str]) -> list[Tokenization]:
        """Returns both tokenizations of each text, without [CLS] and [SEP]."""
        found = []
        for _, columns in _batches({"text": as_list("text", texts)}):
            outputs = self._call("tokenize", columns)
            for row, text in enumerate(columns["text"]):
                found.append(_tokenization(text, {name: values[row] for name, values in outputs.items()}))
        return found

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> dict[str, list[Encoding]]:
        """Returns the vectors of each text or pair of texts, by grain."""
        encoded: dict[str, list[Encoding]] = {grain: [] for grain in self.grains}
        for _, columns in _batches(self._texts("features", texts, pairs)):
            outputs = self._call("features", columns)
            for grain in self.grains:
                lengths = (outputs[f"{grain}_input_ids"] != 0).sum(axis=1)
                encoded[grain] += [
                    Encoding(sequence[:length], sequence[0])
                    for sequence, length in zip(outputs[f"{grain}_sequence"], lengths, strict=True)
                ]
        return encoded

    def attention(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> dict[str, list[np.ndarray]]:
        """Returns the attention weights of each text by grain, float32 [layers, heads, length, length].

        They include [CLS] and [SEP]. AMBERT-Hybrid has `joint` weights, over the concatenation of both sequences.
        """
        names = ("joint",) if self.facts.config.one_sequence else self.grains
        found: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for _, columns in _batches(self._texts("attention", texts, pairs)):
            outputs = self._call("attention", columns)
            real = {grain: outputs[f"{grain}_input_ids"] != 0 for grain in self.grains}
            real["joint"] = np.concatenate([real[grain] for grain in self.grains], axis=1)
            for name in ("fine", "coarse", "joint"):
                for weights, there in zip(outputs.get(f"{name}_attention", ()), real.get(name, ()), strict=False):
                    found.setdefault(name, []).append(weights[:, :, there][:, :, :, there])
        return found

    def fill_mask(self, texts: Sequence[str], top_k: int = 5) -> list[list[FilledMask]]:
        """Returns the most probable tokens for each [MASK] of each text, by grain, from a pre-trained model.

        Adjacent [MASK]s mask one word together: one coarse token and as many fine tokens as there are [MASK]s.

        Args:
          texts: texts with [MASK]s.
          top_k: number of tokens per [MASK], at least 1.

        Raises:
          InputError: the model is not a directory or preset of a pre-trained model, or an input is invalid.
        """
        if self._mask_filler is None:
            raise InputError("fill_mask needs a pre-trained model, not one that was fine-tuned or exported")
        listed = as_list("text", texts)
        return self._mask_filler()([_string(text) for text in listed], positive("top_k", top_k))

    def predict(self, *inputs: Sequence[Any], batch_size: int = BATCH_SIZE) -> list[dict[str, Any]]:
        """Returns the predictions for lists of inputs.

        Args:
          *inputs: one list for each of `input_names`: texts; texts and their pairs; questions and contexts; or
            contexts, questions and lists of choices.
          batch_size: batch size.

        Returns:
          One dictionary per example, with `label` and `probabilities` by label; `score`; `choice` and `probabilities`,
          a list; `answer`, `start`, `end` (byte offsets into the context) and `score`; or `entities`, a list of
          dictionaries with `label`, `text`, `start`, `end` (byte offsets into the text) and `score`.

        Raises:
          InputError: the model has no task, or an input is invalid.
        """
        names = self.input_names
        if len(inputs) != len(names):
            raise InputError(f"predict takes {', '.join(names)}; {len(inputs)} lists were given")
        positive("batch_size", batch_size)
        columns = {name: as_list(name, values) for name, values in zip(names, inputs, strict=True)}
        if len({len(values) for values in columns.values()}) > 1:
            raise InputError(f"predict takes lists of the same length; {', '.join(names)} have lengths "
                             f"{', '.join(str(len(values)) for values in columns.values())}")  # fmt: skip
        found = []
        for start, batch in _batches(columns, batch_size):
            outputs = self._call(SERVING_DEFAULT, batch)
            for row in range(len(batch[names[0]])):
                values = {name: column[row] for name, column in outputs.items()}
                if self.facts.task is not None and self.facts.task.form == SEQUENCE_LABELLING:
                    found.append({"entities": _entities(columns["text"][start + row], values)})
                    continue
                choices = columns["choices"][start + row] if "choices" in columns else ()
                found.append(self._prediction(values, len(choices)))
        return found

    def predict_dataset(
        self, dataset: tf.data.Dataset, batch_size: int = BATCH_SIZE, progress: bool = True
    ) -> tf.data.Dataset:
        """Returns a `tf.data.Dataset` of predictions for a dataset of texts, which is read lazily.

        Args:
          dataset: strings; tuples in the order of `input_names`; or dictionaries with these names, whose other entries
            are kept. They must not have the name of an output, such as `label`.
          batch_size: batch size.
          progress: whether to show a progress bar.

        Returns:
          One dictionary per example, with the outputs of `serving_default` and the other entries of the input.

        Raises:
          InputError: the dataset does not have these inputs, or has an entry with the name of an output.
        """
        names = self.input_names
        function = self._functions[SERVING_DEFAULT]
        positive("batch_size", batch_size)
        _check_elements(dataset, names)

        @tf.autograph.experimental.do_not_convert
        def predict(*element: Any) -> dict[str, tf.Tensor]:
            entries = element[0] if isinstance(element[0], Mapping) else dict(zip(names, element, strict=True))
            outputs = function(**{name: entries[name] for name in names})
            others = {name: value for name, value in entries.items() if name not in names}
            if clash := sorted(set(others) & set(outputs)):
                raise InputError(f"the dataset has {', '.join(clash)}, which the predictions would replace; rename it")
            return {**others, **outputs}

        # Pad lists of choices with empty strings, which are ignored.
        batched = dataset.padded_batch(batch_size) if "choices" in names else dataset.batch(batch_size)
        batches = batched.map(predict)
        # The rows of ragged tensors are tensors; the map makes the element specs say so.
        predictions = batches.unbatch().map(lambda row: row)
        if not progress:
            return predictions
        total = int(dataset.cardinality())

        def counted() -> Iterator[dict[str, tf.Tensor]]:
            from tqdm.auto import tqdm

            yield from tqdm(predictions, total=total if total >= 0 else None, unit=" examples")

        return tf.data.Dataset.from_generator(counted, output_signature=predictions.element_spec)

    def _signature(self, name: str) -> Sequence[str]:
        if name not in self._functions:
            raise InputError(f"this model has no {name}, only {', '.join(self._functions)}")
        return self.facts.signatures[name]

    def _texts(self, name: str, texts: Sequence[str], pairs: Sequence[str] | None) -> dict[str, Sequence[str]]:
        names, texts = self._signature(name), as_list("text", texts)
        if pairs is None:
            return {"text": texts, "text_pair": [""] * len(texts)} if len(names) > 1 else {"text": texts}
        if len(names) == 1:
            raise InputError("this model takes single texts, not pairs")
        pairs = as_list("text_pair", pairs)
        if len(pairs) != len(texts):
            raise InputError(f"there are {len(texts)} texts but {len(pairs)} pairs")
        return {"text": texts, "text_pair": pairs}

    def _call(self, name: str, columns: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        values = {key: np.array(column, np.int32) if key.endswith("_index") else _strings(column)
                  for key, column in columns.items()}  # fmt: skip
        return {key: value.numpy() for key, value in self._functions[name](**values).items()}

    def _prediction(self, values: Mapping[str, Any], choices: int) -> dict[str, Any]:
        task = self.facts.task
        assert task is not None
        if task.form == REGRESSION:
            return {"score": float(values["score"])}
        if task.form == SPANS:
            answer = values["answer"].decode("utf-8", "replace")
            return {"answer": answer, **{name: value.item() for name, value in values.items() if name != "answer"}}
        shares = [float(value) for value in values["probabilities"]]
        if task.form == MULTIPLE_CHOICE:
            return {"choice": int(values["choice"]), "probabilities": shares[:choices]}
        return {"label": values["label"].decode(), "probabilities": dict(zip(task.labels, shares, strict=True))}


def _entities(text: str | bytes, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = text.encode() if isinstance(text, str) else text
    places = zip(*(values[name].tolist() for name in ("label", "start", "end", "score")), strict=True)
    return [
        {
            "label": label.decode(),
            "text": content[start:end].decode("utf-8", "replace"),
            "start": start,
            "end": end,
            "score": score,
        }
        for label, start, end, score in places
    ]


def load(path: str | os.PathLike[str], inference: str = "joint") -> TextModel:
    """Loads a model directory, a preset of a pre-trained model, or an export of `export_saved_model.py`.

    Args:
      path: the directory, or the name of a preset in this package. A model without a task supports everything except
        `predict` and `predict_dataset`.
      inference: for a model directory, `joint`, or `fine` or `coarse` to run only one grain.

    Raises:
      InputError: the directory is neither a model directory nor an export, or the model does not support `inference`.
    """
    path = os.fspath(path)
    if inference not in INFERENCES:
        raise InputError(f"inference is {inference!r}; one of {', '.join(INFERENCES)} is expected")
    if is_file(os.path.join(path, "saved_model.pb")):
        facts = Facts.read(path)
        if inference not in ("joint", facts.inference):
            raise InputError(f"{path}: was exported with --inference={facts.inference}")
        export = tf.saved_model.load(path)
        functions = {name: _keeping(signature, export) for name, signature in export.signatures.items()}
        return TextModel(functions, facts)
    loaded = load_model(path, inference)
    longest = loaded.config.max_position_embeddings
    served = ServedModel(loaded.tokenizer, loaded.model, loaded.task, longest, longest)
    signatures = {name: tuple(specs) for name, specs in served.specs.items()}
    facts = Facts(loaded.task, loaded.config, inference, loaded.tokenizer.language, signatures)
    functions = {name: _by_name(function, signatures[name]) for name, function in served.functions.items()}
    return TextModel(functions, facts, None if loaded.task else lambda: _mask_filler(loaded))


def _mask_filler(loaded: LoadedModel) -> MaskFiller:
    model = AmbertMaskedLM(loaded.backbone, compile=False)
    heads = [variable for variable in model.variables if variable.path.startswith(PRETRAINING_HEADS)]
    restore_variables(heads, loaded.checkpoint)
    return MaskFiller(loaded.tokenizer, model)


def _by_name(function: Callable[..., Any], names: Sequence[str]) -> Function:
    return lambda **values: function(*(values[name] for name in names))


def _keeping(function: Callable[..., Any], owner: Any) -> Function:
    """Returns a signature that keeps a reference to its SavedModel, which owns the variables."""

    def call(**values: Any) -> dict[str, tf.Tensor]:
        assert owner is not None
        return function(**{name: tf.convert_to_tensor(value) for name, value in values.items()})

    return call


def _strings(column: Sequence[Any]) -> tf.Tensor:
    if column and isinstance(column[0], (list, tuple)):
        column = pad_choices(column)
        return tf.reshape(tf.constant(column, tf.string), [len(column), len(column[0])])
    return tf.constant(column, tf.string, shape=[len(column)]) if column else tf.zeros([0], tf.string)


def as_list(name: str, values: Any) -> list[Any]:
    """Returns the values of an input, such as a list, an array, a pandas series or a generator, as a list.

    Raises:
      InputError: it is a single string or not a collection, or one of its values is invalid.
    """
    if isinstance(values, str | bytes):
        raise InputError(f"{name} is a single string; a list is expected")
    values = values.numpy() if isinstance(values, tf.Tensor) else values
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {values!r:.100}; a list is expected")
    listed = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    for index, value in enumerate(listed):
        if problem := wrong_value(name, value):
            raise InputError(f"{name}[{index}] {problem}")
    return listed


def positive(name: str, value: Any) -> int:
    """Returns an argument that must be an integer of at least 1, or raises an InputError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} is {value!r:.100}; an integer of at least 1 is expected")
    return int(value)


def _check_elements(dataset: Any, names: Sequence[str]) -> None:
    if not isinstance(dataset, tf.data.Dataset):
        raise InputError(f"the dataset is {dataset!r:.100}; a tf.data.Dataset is expected")
    spec = dataset.element_spec
    if isinstance(spec, Mapping):
        if missing := [name for name in names if name not in spec]:
            raise InputError(f"the dataset has no {', '.join(missing)}, only {', '.join(map(str, spec))}")
        return
    count = len(spec) if isinstance(spec, tuple) else 1
    if count != len(names):
        raise InputError(f"the elements of the dataset are {count} values; {', '.join(names)} are expected")


def _string(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _batches(
    columns: Mapping[str, Sequence[Any]], batch_size: int = BATCH_SIZE
) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
    count = len(next(iter(columns.values())))
    for start in range(0, count, batch_size):
        yield start, {name: values[start : start + batch_size] for name, values in columns.items()}


def _tokenization(text: str | bytes, values: Mapping[str, Any]) -> Tokenization:
    content = text.encode() if isinstance(text, str) else text
    found: dict[str, Any] = {"text": _string(text)}
    for grain in ("fine", "coarse"):
        length = values[f"{grain}_lengths"]
        offsets = np.stack([values[f"{grain}_starts"][:length], values[f"{grain}_ends"][:length]], axis=1)
        found[grain] = [content[start:end].decode("utf-8", "replace") for start, end in offsets]
        found[f"{grain}_ids"], found[f"{grain}_offsets"] = values[f"{grain}_ids"][:length], offsets
    return Tokenization(**found, fine_to_coarse=values["fine_to_coarse"][: values["fine_lengths"]])
