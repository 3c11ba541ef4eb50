"""Finds the phrases of an English corpus: frequent n-grams whose last word depends on the words before it.

python data/build_phrase_dictionary.py --input_file='corpus/*.txt' --output_file=phrases.tsv

Needs KenLM's programs lmplz and count_ngrams, which `make setup` builds.
"""

from absl import flags

from ambert_tf.corpus.corpus_flags import define_corpus_flags
from ambert_tf.errors import run_main
from ambert_tf.vocabulary.phrase_dictionary import PhraseOptions, build_phrases

FLAGS = flags.FLAGS

define_corpus_flags()
flags.DEFINE_string("output_file", None, "The file to write: phrase, count, log10 P(last word | words before).")
flags.DEFINE_integer("max_order", PhraseOptions.max_order, "Words of a phrase at most.")
flags.DEFINE_integer(
    "min_count",
    PhraseOptions.min_count,
    "How often a phrase occurs at least. Raise it with the corpus, to some hundreds for tens of gigabytes: the model "
    "of n-grams that occur so often is held in memory.",
)
flags.DEFINE_float(
    "min_conditional_prob",
    PhraseOptions.min_conditional_prob,
    "P(last word | words before) of a phrase at least. Raise it for fewer and closer phrases.",
)
flags.DEFINE_float(
    "min_lift",
    PhraseOptions.min_lift,
    "How many times as probable the last word is after the words before it as it is anywhere, at least; keeps "
    "'of the' out, where 'the' is probable anyway. 0 for none.",
)
flags.DEFINE_integer("max_phrases", None, "Keep so many of the phrases at most, the most frequent ones.")
flags.DEFINE_bool("do_lower_case", True, "As for data/build_vocab.py: lower case without accents.")
flags.DEFINE_enum("normalization", "bert", ["bert", "nfkc"], "As for data/build_vocab.py.")
flags.DEFINE_enum(
    "errors", "strict", ["strict", "replace"], "A line that is not UTF-8 is an error, or is mended and counted."
)
flags.DEFINE_string("lmplz", None, "KenLM's lmplz; by default the one beside the running Python, or on PATH.")
flags.DEFINE_string("count_ngrams", None, "KenLM's count_ngrams; likewise.")
flags.DEFINE_string(
    "memory", PhraseOptions.memory, "Memory of KenLM's programs, which run one at a time, such as 4G or 50%."
)
flags.DEFINE_string(
    "temp_dir",
    None,
    "Where the normalised text and KenLM's temporary files go, many times the corpus' size; TMPDIR by default.",
)
flags.mark_flags_as_required(["output_file"])


def main(_) -> None:
    """Finds the phrases as the flags say, and prints how many each threshold leaves."""
    options = PhraseOptions(**{name: FLAGS[name].value for name in PhraseOptions.__dataclass_fields__})
    print("\n".join(build_phrases(options).lines(options)))


if __name__ == "__main__":
    run_main(main)
