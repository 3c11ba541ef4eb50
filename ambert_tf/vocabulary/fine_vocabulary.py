"""Learns a fine vocabulary from word counts, with TensorFlow Text's WordPiece learner."""

from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as wordpiece_learner

from ambert_tf.errors import InputError
from ambert_tf.tokenization import characters, vocab_file

# Maximum fraction of a learned vocabulary for characters that are separate words, unless pieces of words leave more
# room. The rarest become [UNK].
_MAX_SHARE_ALONE = 0.85


def learn_fine_vocabulary(word_counts: dict[str, int], size: int) -> list[str]:
    """Learns a fine vocabulary in BERT's format: special tokens, characters that are words, and pieces of words.

    Args:
      word_counts: words with their counts, the most frequent first.
      size: maximum number of tokens. A small corpus yields fewer.

    Raises:
      InputError: `size` is too small for the special tokens.
    """
    special = [vocab_file.PAD, *(token for token in vocab_file.SPECIAL_TOKENS if token != vocab_file.PAD)]
    if size <= len(special):
        raise InputError(f"--fine_vocab_size={size}: must be above {len(special)}, the number of special tokens")
    # Chinese characters and punctuation never continue a word, but the learner would add a "##" form of each.
    alone = [word for word in word_counts if len(word) == 1 and characters.kind_of(word) != characters.LETTER]
    without = set(alone)
    words = {word: count for word, count in word_counts.items() if word not in without}
    room = size - len(special)
    room_for_pieces = room - min(len(alone), int(room * _MAX_SHARE_ALONE))
    learnt = _learn_pieces(words, room_for_pieces + len(special), special) if words else []
    pieces = [piece for piece in learnt if piece not in special and piece != vocab_file.WORDPIECE_PREFIX]
    pieces = pieces[:room_for_pieces]
    return special + alone[: room - len(pieces)] + pieces


def _learn_pieces(words: dict[str, int], size: int, special: list[str]) -> list[str]:
    """Learns at most `size` tokens, `special` included, from words of letters."""
    counts = sorted(words.values(), reverse=True)
    # The learner searches for the minimum count of a piece. Every frequent word is a piece, so the minimum is at least
    # the count of the word of that rank. Each doubling of the bounds costs a pass over the words.
    lowest = max(counts[min(size, len(counts)) - 1], 2)
    learnt = wordpiece_learner.learn(
        words,
        vocab_size=size,
        reserved_tokens=special,
        lower_thresh=lowest,
        upper_thresh=64 * lowest,
        max_unique_chars=max((size - len(special)) // 2, 1),
    )
    # Pieces of one letter come first, so that no word of these letters is unknown. The others are sorted by count.
    order = {word: rank for rank, word in enumerate(words)}

    def rank(piece: str) -> tuple[int, int]:
        letters = piece.removeprefix(vocab_file.WORDPIECE_PREFIX)
        return (min(len(letters), 2), order.get(piece, 0))

    return sorted(learnt, key=rank)
