"""Training driver shared by all programs, which creates optimizer, checkpoints and progress from the settings."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import keras
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import exists, parse_json, read_bytes
from ambert_tf.outputs import atomic_path
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.cluster import check_workers_agree, is_chief, naming_lost_workers
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import SCHEDULES
from ambert_tf.training.loop import MakeDataset, Metrics, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, Lamb
from ambert_tf.training.peak import peak_of
from ambert_tf.training.precision import LossScale
from ambert_tf.training.progress import Progress, has_evaluation
from ambert_tf.training.settings import EVALUATION_PREFIX, TrainingSettings
from ambert_tf.training.step import Objective

ObjectiveT = TypeVar("ObjectiveT", bound=Objective)
OPTIMIZERS = {"adamw": AdamW, "lamb": Lamb}
Evaluate = Callable[[int], Mapping[str, Any]]

SETTINGS_FILE = "training_settings.json"
TRAINING_DATA = "training_data"  # not a flag, but compared like one


def strategy_for(settings: TrainingSettings, training: bool = True) -> tf.distribute.Strategy:
    """Returns the distribution strategy. Call it before any other TensorFlow operation.

    Args:
      settings: the program's settings.
      training: whether the program trains, so that the batch must be divisible by the number of devices.

    Raises:
      InputError: the devices do not exist, or the batch is not divisible.
    """
    strategy = make_strategy(settings.num_replicas)
    replicas, parts = strategy.num_replicas_in_sync, settings.gradient_accumulation_steps
    if training and settings.train_batch_size % (replicas * parts):
        raise InputError(
            f"--train_batch_size={settings.train_batch_size}: must be a multiple of {replicas * parts} ({replicas} "
            f"replicas times --gradient_accumulation_steps={parts})"
        )
    return strategy


class _Stopped(Exception):
    """Raised to end the loop after an evaluation."""


class Trainer(Generic[ObjectiveT]):
    """A training run, which resumes from the latest checkpoint in its output directory.

    Args:
      settings: the program's settings.
      strategy: the distribution strategy.
      make_objective: creates the objective. It is called in the strategy's scope, and its model must have the dtype
        policy `POLICIES[settings.precision]`.
      num_train_steps: the last step.
      num_warmup_steps: number of warm-up steps of the learning rate.
      restore_initial: loads weights into the model, its first argument, from `settings.init_checkpoint`, its second.
      training_data: a digest of the training data, if a resumed run is to warn about other data.

    Attributes:
      objective: the objective.
      step: the number of completed steps.
      origin: the checkpoint that the run starts from, or `random initialization`.

    Raises:
      InputError: a checkpoint does not match the model.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        strategy: tf.distribute.Strategy,
        make_objective: Callable[[], ObjectiveT],
        num_train_steps: int,
        num_warmup_steps: int,
        restore_initial: Callable[[keras.Model, str], object],
        training_data: str | None = None,
    ) -> None:
        self.settings = settings
        self.strategy = strategy
        self.num_train_steps = num_train_steps
        with strategy.scope():
            self.objective = make_objective()
            schedule = SCHEDULES[settings.learning_rate_schedule]
            self.optimizer = OPTIMIZERS[settings.optimizer](
                self.objective.model.trainable_variables,
                schedule(settings.learning_rate, num_train_steps, num_warmup_steps),
                AdamWSettings(weight_decay=settings.weight_decay, bias_correction=settings.bias_correction),
                LossScale() if settings.precision == "float16" else None,
            )
            model = self.objective.model
            state = {"optimizer": self.optimizer.variables()}
            self.checkpoints = Checkpoints(
                settings.output_dir, model, state, settings.keep_checkpoints, writes=is_chief(strategy)
            )
            restored = self.checkpoints.restore_latest()
            if restored is None and settings.init_checkpoint:
                restore_initial(model, settings.init_checkpoint)
        self.step = int(self.optimizer.step.numpy())
        self.origin = restored or settings.init_checkpoint or "random initialization"
        if strategy.cluster_resolver is not None:
            with naming_lost_workers(strategy):
                check_workers_agree(strategy, settings, self.step)
        if is_chief(strategy) and not self.finished:
            present = {**dataclasses.asdict(settings), "num_train_steps": num_train_steps}
            present["num_warmup_steps"] = num_warmup_steps
            for name in settings.MAY_CHANGE:
                present.pop(name, None)
            if training_data is not None:
                present[TRAINING_DATA] = training_data
            compare_settings(settings.output_dir, present, self.step)
        logging.info(
            "%s parameters in %s on %d replica(s), from %s at step %d of %d", f"{model.count_params():,}",
            settings.precision, strategy.num_replicas_in_sync, self.origin, self.step, num_train_steps,
        )  # fmt: skip

    @property
    def finished(self) -> bool:
        """Whether the restored checkpoint is from the last step."""
        return self.step >= self.num_train_steps

    def train(
        self,
        make_dataset: MakeDataset,
        evaluate: Evaluate | None = None,
        describe_batch: Callable[[int], str] | None = None,
        save_checkpoints_steps: int | None = None,
        should_stop: Callable[[], bool] | None = None,
        check_metrics: Callable[[int, Metrics], None] | None = None,
    ) -> None:
        """Trains to the last step. Does nothing if the run is finished.

        If there are several workers, the first one evaluates and writes files while the others wait.

        Args:
          make_dataset: see `loop.train`.
          evaluate: called with the step after each checkpoint. Its results are written to `metrics.jsonl` as `eval_…`.
          describe_batch: see `loop.train`.
          save_checkpoints_steps: steps between checkpoints, if the settings do not define them.
          should_stop: called after each evaluation. Returns whether to end before the last step. Only supported with a
            single worker.
          check_metrics: see `loop.train`.

        Raises:
          InputError: a loss is not finite, the data is exhausted, memory or disk space runs out, or a worker is lost.
        """
        settings = self.settings
        every = settings.save_checkpoints_steps or save_checkpoints_steps
        # If the run was interrupted between a checkpoint and its evaluation, evaluate now. A signal saves a checkpoint
        # at any step, which an uninterrupted run does not evaluate.
        regular = self.finished or not every or self.step % every == 0
        owes_evaluation = (
            evaluate is not None and self.step > 0 and regular and not has_evaluation(settings.output_dir, self.step)
        )
        if self.finished:
            logging.warning("%s: training has already reached step %d", self.origin, self.step)
            if not owes_evaluation:
                return
        progress: Progress | None = None
        if is_chief(self.strategy):
            measure = None if self.finished else lambda: peak_of(self.strategy, settings.precision)
            progress = Progress(settings.output_dir, self.num_train_steps, self.step, settings.log_steps, measure)
            if measure is not None:
                logging.info("matrix products on this machine: %.1f GFLOP/s", progress.peak_flops / 1e9)

        def report(step: int) -> None:
            if progress is not None and evaluate is not None and (results := evaluate(step)):
                progress.write(step, {f"{EVALUATION_PREFIX}{name}": value for name, value in results.items()})
                shown = "  ".join(f"{name} {value:.4g}" for name, value in results.items())
                logging.info("evaluation at step %d: %s", step, shown)
            if should_stop is not None and should_stop():
                raise _Stopped

        try:
            if owes_evaluation:
                report(self.step)
            elif self.step and should_stop is not None and should_stop():  # interrupted after it had stopped early
                raise _Stopped
            if self.finished:
                return
            train(
                self.strategy, self.objective, self.optimizer, make_dataset, self.num_train_steps,
                dataclasses.replace(settings, save_checkpoints_steps=every), self.checkpoints, progress, report,
                describe_batch, check_metrics,
            )  # fmt: skip
        except _Stopped:
            logging.info("early stopping at step %d", int(self.optimizer.step.numpy()))
        except tf.errors.ResourceExhaustedError as error:
            advice = "lower --train_batch_size or raise --gradient_accumulation_steps"
            if "OOM" not in str(error):  # the disk is full, not memory
                advice = f"free up disk space in --output_dir={settings.output_dir}"
            raise InputError(f"{advice}: {one_line(error)[:300]}") from None
        finally:
            if progress is not None:
                progress.close()


def compare_settings(output_dir: str, present: Mapping[str, Any], step: int) -> None:
    """Warns about settings that changed since the run was started or last resumed, and records the current ones.

    Args:
      output_dir: the model directory.
      present: the current settings, by name.
      step: the step from which the run resumes, or 0 for a new run.
    """
    path = os.path.join(output_dir, SETTINGS_FILE)
    present = json.loads(json.dumps(present))  # convert tuples to lists, as in the file
    if step and exists(path):
        try:
            before = parse_json(read_bytes(path))
            changed = [name for name, value in present.items() if name in before and before[name] != value]
        except (ValueError, TypeError):
            changed = []
        for name in changed:
            shown = name if name == TRAINING_DATA else f"--{name}"
            logging.warning("resuming at step %d with %s=%s; it was %s", step, shown, present[name], before[name])
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(present, file, indent=2)
        file.write("\n")
