"""The settings of `data/build_embeddings.py`. Does not import TensorFlow."""

import dataclasses

from ambert_tf.corpus.sources import CorpusSettings
from ambert_tf.errors import InputError
from ambert_tf.files import is_directory
from ambert_tf.flags import at_least, check_outputs, require, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class CooccurrenceSettings(CorpusSettings):
    """Computes initial token embeddings of both grains from their co-occurrences in a corpus.

        python data/build_embeddings.py --input_file='corpus/*.txt' --tokenizer_dir=tokenizer \\
            --output_file=embeddings.npz --embedding_size=128
        python run_pretraining.py --init_embeddings=embeddings.npz --config=tiny ...

    Counts which tokens occur near each other and factorizes their pointwise mutual information. This takes a minute for
    15 MB of text, and pre-training then needs far fewer steps: most of what a small model learns in its first
    thousands of steps is in these statistics (docs/results.md).
    """

    tokenizer_dir: str = setting("", "Tokenizer directory.")
    output_file: str = setting("", "File to write (.npz).")
    embedding_size: int = setting(128, "Size of the embeddings: the hidden size of the model to pre-train.")
    window_size: int = setting(5, "Tokens on each side that count as near: coarse tokens, and twice as many fine ones.")
    random_seed: int = setting(1, "Random seed of the factorization.")

    def validate(self) -> None:
        """Raises an InputError if a value is missing or out of range, or the output cannot be written."""
        require(self, "tokenizer_dir", "output_file")
        at_least(self, 1, "embedding_size", "window_size")
        at_least(self, 0, "random_seed")
        if not self.output_file.endswith(".npz"):
            raise InputError(f"--output_file={self.output_file}: must end with .npz")
        if is_directory(self.output_file):
            raise InputError(f"--output_file={self.output_file}: is a directory; name a file in it")
        check_outputs(self, "output_file")
