"""Makes a tokenizer directory from a corpus.

python data/build_vocab.py --input_file='corpus/*.txt' --language=zh --output_dir=tokenizer
python data/build_vocab.py --input_file='corpus/*.txt' --language=en --phrases_file=phrases.tsv --output_dir=tokenizer
"""

from absl import flags

from ambert_tf.corpus.corpus_flags import define_corpus_flags
from ambert_tf.errors import run_main
from ambert_tf.vocabulary.build_vocab import VocabularyOptions, build_tokenizer

FLAGS = flags.FLAGS

define_corpus_flags()
flags.DEFINE_enum("language", None, ["zh", "en"], "Chinese words (zh) or English phrases (en) as coarse tokens.")
flags.DEFINE_string("output_dir", None, "The tokenizer directory to make.")
flags.DEFINE_string(
    "fine_vocab_file",
    None,
    "A fine vocabulary to use, such as Google's vocab.txt; learnt from the corpus by default.",
)
flags.DEFINE_integer(
    "fine_vocab_size",
    None,
    "Tokens at most of a learnt fine vocabulary; the paper's size by default.",
    lower_bound=6,
)
flags.DEFINE_integer(
    "coarse_vocab_size", None,
    "Tokens at most of the coarse vocabulary, the fine ones included; by default the paper's 72,635 words (zh) or "
    "77,645 phrases (en) more than the fine vocabulary.", lower_bound=6,
)  # fmt: skip
flags.DEFINE_string("phrases_file", None, "phrases.tsv of data/build_phrase_dictionary.py, for --language=en.")
flags.DEFINE_string(
    "user_dict", None, "More words of Chinese characters, in jieba's format: word [count] [part of speech]."
)
flags.DEFINE_bool("do_lower_case", True, "Lower case without accents, as in BERT's uncased models.")
flags.DEFINE_enum(
    "normalization", "bert", ["bert", "nfkc"], "nfkc also folds full-width forms, ligatures and the like."
)
flags.DEFINE_integer(
    "min_count", 2, "Words or phrases seen less often stay out of the coarse vocabulary.", lower_bound=1
)
flags.DEFINE_enum("errors", "strict", ["strict", "replace"], "Lines that are not UTF-8 end the run, or are mended.")
flags.mark_flags_as_required(["language", "output_dir"])


def main(_) -> None:
    """Builds the tokenizer that the flags describe and prints what it makes of the corpus."""
    options = VocabularyOptions(**{name: FLAGS[name].value for name in VocabularyOptions.__dataclass_fields__})
    print("\n".join(build_tokenizer(options).lines()))


if __name__ == "__main__":
    run_main(main)
