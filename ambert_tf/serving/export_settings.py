"""The settings of `export_saved_model.py`. This module does not import TensorFlow."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.files import check_tensorflow_path
from ambert_tf.flags import check_choices, require, setting

INFERENCES = ("joint", "fine", "coarse")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Exports a fine-tuned model, of any task, as a SavedModel that takes raw text.

        python export_saved_model.py --model_dir=classifier --export_dir=exported

    Loading the SavedModel only requires tensorflow and tensorflow_text. Its signature `serving_default` maps `text`,
    string [batch] (and `text_pair` for pair tasks), to `probabilities`, float32 [batch, classes], and `label`, string
    [batch]. For other tasks, README.md in the export describes the signatures. After the export, the SavedModel is
    loaded in a separate process and compared with the checkpoint.

        python export_saved_model.py --model_dir=classifier --export_dir=models/classifier --version=1

    writes a model directory for TensorFlow Serving, with warm-up requests; see docs/serving.md.
    """

    model_dir: str = setting("", "Model directory, an --output_dir of run_classifier.py, run_squad.py or run_ner.py.")
    export_dir: str = setting("", "Directory to write the SavedModel to.")
    inference: str = setting("joint", "Export both grains, or only one, without the other's embeddings.", INFERENCES)
    overwrite: bool = setting(False, "Replace an existing SavedModel.")
    check: bool = setting(True, "Load the export in a separate process and compare it with the checkpoint.")
    check_file: str | None = setting(
        None,
        "Inputs for the check: lines of text, or JSON lines with the signature's inputs and, if known, label, choice, "
        "answer or score. Defaults to built-in texts.",
    )
    version: int | None = setting(None, "Write to EXPORT_DIR/VERSION, with warm-up requests, for TensorFlow Serving.")
    null_score_diff_threshold: float | None = setting(
        None, "Predict no answer if the null score exceeds the best answer's by more than this. Default: as fine-tuned."
    )

    def validate(self) -> None:
        """Raises an InputError if a value is missing or out of range."""
        require(self, "model_dir", "export_dir")
        check_choices(self)
        check_tensorflow_path(self.export_dir, "export_dir")
        if self.version is not None and self.version < 1:
            raise InputError(f"--version={self.version}: must be at least 1")
