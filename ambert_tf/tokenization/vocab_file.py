"""Vocabulary files in BERT's format: one token per line, with the line number as id."""

from collections.abc import Container, Iterable, Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, read_bytes
from ambert_tf.outputs import atomic_path

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
WORDPIECE_PREFIX = "##"
# Limit of TensorFlow Text's WordPiece, without "##".
_MAX_TOKEN_BYTES = 256
_BOM = b"\xef\xbb\xbf"


def read_vocabulary(path: str, flag: str) -> list[str]:
    """Reads the vocabulary of any BERT. As in Google's code, ids are line numbers, whatever the lines contain.

    A byte-order mark, carriage returns and trailing blank lines are dropped. Duplicate and blank lines keep their ids.
    `token_ids` determines which of several duplicates is used.

    Args:
      path: the file, local or remote.
      flag: the flag that named the file, for error messages.

    Raises:
      InputError: the file does not exist or is not UTF-8, a special token is missing, `[PAD]` is not the first line, or
        a line is too long.
    """
    tokens = _read_lines(path, flag)
    while tokens and not tokens[-1].strip():
        tokens.pop()
    check_fine_vocabulary(tokens, path, flag)
    return tokens


def read_own_vocabulary(path: str, flag: str) -> list[str]:
    """Reads a vocabulary written by this project, in which every line is a token.

    Raises:
      InputError: see `read_vocabulary`.
    """
    tokens = _read_lines(path, flag)
    check_vocabulary(tokens, path, flag)
    return tokens


def _read_lines(path: str, flag: str) -> list[str]:
    check_input_file(path, flag)
    lines = read_bytes(path).removeprefix(_BOM).split(b"\n")
    if not lines[-1]:
        lines.pop()
    tokens = []
    for number, line in enumerate(lines, 1):
        try:
            # Nothing else is stripped, because two tokens of Google's Chinese vocabulary are white space.
            tokens.append(line.rstrip(b"\r").decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError(f"--{flag}: {path}, line {number}: not UTF-8") from None
    return tokens


def check_vocabulary(tokens: Sequence[str], path: str, flag: str) -> None:
    """Checks the requirements on every vocabulary.

    Raises:
      InputError: a special token is missing, or `[PAD]` is not the first token.
    """
    known = set(tokens)
    for token in SPECIAL_TOKENS:
        if token not in known:
            raise InputError(
                f"--{flag}: {path}: has no line {token}; a BERT vocabulary contains {' '.join(SPECIAL_TOKENS)}"
            )
    if tokens[0] != PAD:
        raise InputError(
            f"--{flag}: {path}, line 1: is {tokens[0]!r}; the first token must be {PAD}, because id 0 marks padding"
        )


def check_fine_vocabulary(tokens: Sequence[str], path: str, flag: str) -> None:
    """Checks the requirements on a vocabulary for WordPiece.

    Raises:
      InputError: see `check_vocabulary`, or a token has more than 256 bytes.
    """
    check_vocabulary(tokens, path, flag)
    for number, token in enumerate(tokens, 1):
        size = len(token.removeprefix(WORDPIECE_PREFIX).encode())
        if size > _MAX_TOKEN_BYTES:
            raise InputError(
                f"--{flag}: {path}, line {number}: the token has {size} bytes; the maximum is {_MAX_TOKEN_BYTES}"
            )


def token_ids(tokens: Iterable[str]) -> dict[str, int]:
    """Returns the id of each token. The last of several duplicates is used, as in Google's code."""
    return {token: index for index, token in enumerate(tokens)}


def distinct(tokens: Sequence[str]) -> list[str]:
    """Returns the vocabulary with duplicates and blank lines, which no text produces, replaced by unused names."""
    ids = token_ids(tokens)
    return [
        token if token and ids[token] == index else unused_token(index, ids) for index, token in enumerate(tokens)
    ]


def unused_token(index: int, known: Container[str]) -> str:
    """Returns a name for an id that no text produces, in the style of Google's `[unused1]`."""
    name = f"[unused{index}]"
    while name in known:
        name = f"[unused{name[1:-1]}]"
    return name


def write_vocabulary(tokens: Sequence[str], path: str) -> None:
    """Writes a vocabulary, one token per line."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{token}\n" for token in tokens)
