"""Converts BERT checkpoints: Google's and Hugging Face's into model directories of this project, and back.

    python convert_checkpoint.py --from_format=google_bert --input=chinese_L-12_H-768_A-12/bert_model.ckpt \
        --to_format=ambert --model_type=ambert --tokenizer_dir=tokenizer --output=warm_started
    python convert_checkpoint.py --from_format=ambert --input=pretrained --to_format=huggingface --output=single

The first makes an AMBERT whose encoder is the BERT's and whose coarse embeddings are the means of their fine pieces'
(`data/build_vocab.py --fine_vocab_file=…` makes the tokenizer); the second takes the fine half out of an AMBERT
(AMBERT-Single), for `transformers.AutoModel`. Pooler and pre-training heads go along.
"""

from collections.abc import Sequence

from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

_FORMATS = "google_bert (TensorFlow 1 checkpoint), huggingface (directory with safetensors) or ambert (model directory)"
flags.DEFINE_string("from_format", "", f"What --input is: {_FORMATS}.")
flags.DEFINE_string("to_format", "", f"What --output is to be: {_FORMATS}.")
flags.DEFINE_string("input", "", "The checkpoint: a directory, or the prefix of Google's, such as DIR/bert_model.ckpt.")
flags.DEFINE_string("output", "", "The directory to write.")
flags.DEFINE_string(
    "model_type",
    None,
    "To ambert: what to make; ambert, ambert_combo, ambert_hybrid and bert_coarse need --tokenizer_dir. By default "
    "bert_fine.",
)
flags.DEFINE_string("tokenizer_dir", None, "To ambert: tokenizer directory whose fine vocabulary is the checkpoint's.")
flags.DEFINE_string("grain", "fine", "From ambert: the grain whose BERT to take, fine (AMBERT-Single) or coarse.")
flags.DEFINE_string("bert_config_file", None, "From google_bert: by default bert_config.json beside the checkpoint.")
flags.DEFINE_string("vocab_file", None, "From google_bert: by default vocab.txt beside the checkpoint.")
flags.DEFINE_boolean(
    "do_lower_case", None, "Whether the model is uncased; by default as the tokenizer's files or the vocabulary tell."
)


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint

    convert_checkpoint(
        ConversionSettings(
            from_format=FLAGS.from_format,
            to_format=FLAGS.to_format,
            input=FLAGS.input,
            output=FLAGS.output,
            model_type=FLAGS.model_type,
            tokenizer_dir=FLAGS.tokenizer_dir,
            grain=FLAGS.grain,
            bert_config_file=FLAGS.bert_config_file,
            vocab_file=FLAGS.vocab_file,
            do_lower_case=FLAGS.do_lower_case,
        )
    )


if __name__ == "__main__":
    run_main(main)
