"""Exports a fine-tuned model, of any task, as a SavedModel that takes raw text.

    python export_saved_model.py --model_dir=classifier --export_dir=exported

It loads in a process that has only tensorflow and tensorflow_text. Signature `serving_default`: `text`, string [batch]
(and `text_pair` for pair tasks), to `probabilities`, float32 [batch, classes], and `label`, string [batch]; of other
tasks what README.md in the export says. The export is loaded in another process and compared with the checkpoint.

    python export_saved_model.py --model_dir=classifier --export_dir=models/classifier --version=1

makes the directory that TensorFlow Serving takes, with warm-up requests; see docs/serving.md.
"""

from collections.abc import Sequence

from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

flags.DEFINE_string("model_dir", "", "Model directory, an --output_dir of run_classifier.py or run_squad.py.")
flags.DEFINE_string("export_dir", "", "Where to write the SavedModel.")
flags.DEFINE_enum(
    "inference", "joint", ["joint", "fine", "coarse"], "Both grains, or one alone, without the other's tables."
)
flags.DEFINE_boolean("overwrite", False, "Replace a SavedModel that exists.")
flags.DEFINE_boolean("check", True, "Load the result in a clean process and compare it with the checkpoint.")
flags.DEFINE_string(
    "check_file", None, "What to compare on: JSON lines with the signature's inputs, and label, choice, "
    "answer or score where it is known; or lines of text. By default built-in texts."
)  # fmt: skip
flags.DEFINE_enum(
    "weights_dtype", "float32", ["float32", "float16", "bfloat16", "int8"],
    "How weights are stored; smaller files, not faster."
)  # fmt: skip
flags.DEFINE_integer("version", None, "Write to EXPORT_DIR/VERSION, with warm-up requests, for TensorFlow Serving.")
flags.DEFINE_float(
    "null_score_diff_threshold", 0.0, "No answer is given where it scores higher than the best by more; squad2."
)


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.serving.export import export_saved_model

    export_saved_model(
        FLAGS.model_dir,
        FLAGS.export_dir,
        FLAGS.inference,
        FLAGS.overwrite,
        FLAGS.check,
        FLAGS.check_file,
        FLAGS.weights_dtype,
        FLAGS.version,
        FLAGS.null_score_diff_threshold,
    )


if __name__ == "__main__":
    run_main(main)
