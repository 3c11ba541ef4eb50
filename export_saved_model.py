"""Exports a fine-tuned model as a SavedModel that takes raw text.

    python export_saved_model.py --model_dir=classifier --export_dir=exported

It loads in a process that has only tensorflow and tensorflow_text. Signature `serving_default`: `text`, string [batch]
(and `text_pair` for pair tasks), to `probabilities`, float32 [batch, classes], and `label`, string [batch].
"""

from collections.abc import Sequence

from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

flags.DEFINE_string("model_dir", "", "Model directory, an --output_dir of run_classifier.py.")
flags.DEFINE_string("export_dir", "", "Where to write the SavedModel.")
flags.DEFINE_enum(
    "inference", "joint", ["joint", "fine"], "Both grains, or the fine one alone, without the coarse tables."
)
flags.DEFINE_boolean("overwrite", False, "Replace an --export_dir that exists.")
flags.DEFINE_boolean("check", True, "Load the result in a clean process and compare it with the checkpoint.")


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.serving.export import export_saved_model

    export_saved_model(FLAGS.model_dir, FLAGS.export_dir, FLAGS.inference, FLAGS.overwrite, FLAGS.check)


if __name__ == "__main__":
    run_main(main)
