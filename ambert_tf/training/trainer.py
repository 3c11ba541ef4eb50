"""A training run as every program makes it: optimizer, checkpoints, progress and loop by its settings."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import keras
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.training.checkpoints import Checkpoints, restore_backbone
from ambert_tf.training.cluster import check_workers_agree, is_chief, naming_lost_workers
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.lamb import Lamb
from ambert_tf.training.loop import LoopSettings, MakeDataset, Objective, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, WarmupLinearDecay
from ambert_tf.training.peak import peak_of
from ambert_tf.training.precision import LossScale
from ambert_tf.training.progress import EVALUATION_PREFIX, Progress, has_evaluation
from ambert_tf.training.settings import TrainingSettings

ObjectiveT = TypeVar("ObjectiveT", bound=Objective)
OPTIMIZERS = {"adamw": AdamW, "lamb": Lamb}
Evaluate = Callable[[int], Mapping[str, Any]]


def strategy_for(settings: TrainingSettings, training: bool = True) -> tf.distribute.Strategy:
    """Returns where to run; call it before anything else of TensorFlow runs.

    Args:
      settings: of the program.
      training: whether anything is trained, so that the batch has to divide among the devices.

    Raises:
      InputError: the devices are not there, or the batch does not divide among them.
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
    """Ends the loop at an evaluation."""


class Trainer(Generic[ObjectiveT]):
    """One run: what is trained, its optimizer and its checkpoints, from the newest checkpoint if there is one.

    Args:
      settings: of the program.
      strategy: where to train.
      make_objective: makes what is trained, called in the strategy's scope; the model takes `POLICIES[precision]`.
      num_train_steps: the last step.
      num_warmup_steps: steps over which the learning rate rises.
      restore_initial: gives the model the weights of `settings.init_checkpoint`, the second argument.

    Attributes:
      objective: what `make_objective` returned.
      step: the steps made before.
      origin: the checkpoint that the run starts from, or `new weights`.

    Raises:
      InputError: a checkpoint does not fit.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        strategy: tf.distribute.Strategy,
        make_objective: Callable[[], ObjectiveT],
        num_train_steps: int,
        num_warmup_steps: int,
        restore_initial: Callable[[keras.Model, str], object] = restore_backbone,
    ) -> None:
        self.settings = settings
        self.strategy = strategy
        self.num_train_steps = num_train_steps
        with strategy.scope():
            self.objective = make_objective()
            self.optimizer = OPTIMIZERS[settings.optimizer](
                self.objective.trainable_variables,
                WarmupLinearDecay(settings.learning_rate, num_train_steps, num_warmup_steps),
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
        self.origin = restored or settings.init_checkpoint or "new weights"
        if strategy.cluster_resolver is not None:
            with naming_lost_workers(strategy):
                check_workers_agree(strategy, settings, self.step)
        logging.info(
            "%s parameters in %s on %d replica(s), from %s at step %d of %d", f"{model.count_params():,}",
            settings.precision, strategy.num_replicas_in_sync, self.origin, self.step, num_train_steps,
        )  # fmt: skip

    @property
    def finished(self) -> bool:
        """Whether the checkpoint that was found is the last step's."""
        return self.step >= self.num_train_steps

    def train(
        self,
        make_dataset: MakeDataset,
        evaluate: Evaluate | None = None,
        describe_batch: Callable[[int], str] | None = None,
        save_checkpoints_steps: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Trains to the last step; does nothing in a run that is there already.

        Of several workers the first one evaluates and writes, while the others wait.

        Args:
          make_dataset: see `loop.train`.
          evaluate: called with the step after each checkpoint; what it returns goes to `metrics.jsonl` as `eval_…`.
          describe_batch: see `loop.train`.
          save_checkpoints_steps: steps between checkpoints, where the settings leave it open.
          should_stop: asked after each evaluation whether to end before the last step; for one worker only.

        Raises:
          InputError: a loss is not finite, the data end, memory or the disk is full, a worker is lost.
        """
        settings = self.settings
        # A run that ended between a checkpoint and its evaluation still owes it.
        owes_evaluation = evaluate is not None and self.step > 0 and not has_evaluation(settings.output_dir, self.step)
        if self.finished:
            logging.warning("%s: training had reached step %d already; nothing is trained", self.origin, self.step)
            if not owes_evaluation:
                return
        progress: Progress | None = None
        if is_chief(self.strategy):
            peak = None
            if not self.finished:
                peak = peak_of(self.strategy, settings.precision)
                logging.info("a matrix product runs at %.1f GFLOP/s here", peak / 1e9)
            progress = Progress(settings.output_dir, self.num_train_steps, self.step, settings.log_steps, peak)

        def report(step: int) -> None:
            if progress is not None and evaluate is not None and (results := evaluate(step)):
                progress.write(step, {f"{EVALUATION_PREFIX}{name}": value for name, value in results.items()})
                shown = "  ".join(f"{name} {value:.4g}" for name, value in results.items())
                logging.info("evaluated at step %d: %s", step, shown)
            if should_stop is not None and should_stop():
                raise _Stopped

        loop = LoopSettings(
            num_train_steps=self.num_train_steps,
            save_checkpoints_steps=settings.save_checkpoints_steps or save_checkpoints_steps or self.num_train_steps,
            steps_per_loop=settings.steps_per_loop,
            gradient_accumulation_steps=settings.gradient_accumulation_steps,
            seed=settings.random_seed,
            use_xla=settings.use_xla,
            on_nonfinite=settings.on_nonfinite,
        )
        try:
            if owes_evaluation:
                report(self.step)
            elif self.step and should_stop is not None and should_stop():  # it had stopped when it was interrupted
                raise _Stopped
            if self.finished:
                return
            train(
                self.strategy, self.objective, self.optimizer, make_dataset, loop, self.checkpoints, progress, report,
                describe_batch,
            )  # fmt: skip
        except _Stopped:
            logging.info("stopped early, at step %d", int(self.optimizer.step.numpy()))
        except tf.errors.ResourceExhaustedError as error:
            advice = "lower --train_batch_size or raise --gradient_accumulation_steps"
            if "OOM" not in str(error):  # not memory but the disk
                advice = f"free space below --output_dir={settings.output_dir}"
            raise InputError(f"{advice}: {one_line(error)[:300]}") from None
        finally:
            if progress is not None:
                progress.close()
