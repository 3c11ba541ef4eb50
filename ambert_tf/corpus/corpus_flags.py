"""The flags that name a corpus, the same for each program that reads one."""

from absl import flags

from ambert_tf.corpus.sources import CorpusOptions


def define_corpus_flags() -> None:
    """Defines the flags of `CorpusOptions`; a program calls this where it defines its others."""
    flags.DEFINE_string(
        "input_file",
        None,
        "Corpus: UTF-8, one sentence a line, an empty line between documents, .gz too; names and patterns with "
        "commas between.",
    )
    flags.DEFINE_string(
        "input_tfds",
        None,
        "Or a data set of TensorFlow Datasets, as wikipedia/20230601.en: an example is a document, a line a sentence.",
    )
    flags.DEFINE_string("tfds_data_dir", None, "Where its prepared data is; TensorFlow Datasets' directory by default.")
    flags.DEFINE_string("tfds_split", CorpusOptions.tfds_split, "Its split, such as train or train[:10%].")
    flags.DEFINE_string("tfds_text_key", CorpusOptions.tfds_text_key, "Its feature that is the text.")
