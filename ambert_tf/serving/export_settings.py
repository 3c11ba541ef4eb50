"""The settings of `export_saved_model.py`; this module imports no TensorFlow."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.flags import check_choices, require, setting

INFERENCES = ("joint", "fine", "coarse")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Exports a fine-tuned model, of any task, as a SavedModel that takes raw text.

        python export_saved_model.py --model_dir=classifier --export_dir=exported

    The SavedModel loads in a process that has only tensorflow and tensorflow_text. Its signature `serving_default` maps
    `text`, string [batch] (and `text_pair` for pair tasks), to `probabilities`, float32 [batch, classes], and `label`,
    string [batch]; README.md in the export describes the signatures of other tasks. The export is loaded in another
    process and compared with the checkpoint.

        python export_saved_model.py --model_dir=classifier --export_dir=models/classifier --version=1

    writes the directory that TensorFlow Serving takes, with warm-up requests; see docs/serving.md.
    """

    model_dir: str = setting("", "Model directory, an --output_dir of run_classifier.py or run_squad.py.")
    export_dir: str = setting("", "Directory to write the SavedModel to.")
    inference: str = setting("joint", "Both grains, or one alone, without the other's tables.", INFERENCES)
    overwrite: bool = setting(False, "Replace an existing SavedModel.")
    check: bool = setting(True, "Load the result in a clean process and compare it with the checkpoint.")
    check_file: str | None = setting(
        None,
        "What to compare on: JSON lines with the signature's inputs, and label, choice, answer or score where it is "
        "known; or lines of text. Defaults to built-in texts.",
    )
    version: int | None = setting(None, "Write to EXPORT_DIR/VERSION, with warm-up requests, for TensorFlow Serving.")
    null_score_diff_threshold: float | None = setting(
        None, "Predict no answer if its score exceeds the best answer's by more than this. Default: as fine-tuned."
    )

    def validate(self) -> None:
        """Raises an InputError if a value is missing or out of range."""
        require(self, "model_dir", "export_dir")
        check_choices(self)
        if self.version is not None and self.version < 1:
            raise InputError(f"--version={self.version}: must be 1 or more")
