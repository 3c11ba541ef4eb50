"""Vocabulary files in BERT's format: one token a line, the line number is the id."""

from collections.abc import Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, check_input_file, read_bytes

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
WORDPIECE_PREFIX = "##"


def read_vocabulary(path: str, flag: str) -> list[str]:
    """Reads a vocabulary; Google's files work unchanged.

    Args:
      path: the file.
      flag: the flag that names it, for errors.

    Raises:
      InputError: no such file, not UTF-8, a special token is missing, `[PAD]` is not the first line.
    """
    check_input_file(path, flag)
    lines = read_bytes(path).split(b"\n")
    if not lines[-1]:
        lines.pop()
    tokens = []
    for number, line in enumerate(lines, 1):
        try:
            # Only the end of the line goes: some of Google's Chinese tokens are themselves white space.
            tokens.append(line.rstrip(b"\r").decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError(f"--{flag}: {path}, line {number}: not UTF-8") from None
    check_vocabulary(tokens, path, flag)
    return tokens


def check_vocabulary(tokens: Sequence[str], path: str, flag: str) -> None:
    """Checks what every vocabulary must have.

    Raises:
      InputError: a special token is missing, `[PAD]` is not the first.
    """
    known = set(tokens)
    for token in SPECIAL_TOKENS:
        if token not in known:
            raise InputError(
                f"--{flag}: {path}: has no line {token}; a BERT vocabulary holds {' '.join(SPECIAL_TOKENS)}"
            )
    if tokens[0] != PAD:
        raise InputError(
            f"--{flag}: {path}, line 1: is {tokens[0]!r}; the first token must be {PAD}, whose id 0 marks padding"
        )


def write_vocabulary(tokens: Sequence[str], path: str) -> None:
    """Writes a vocabulary, one token a line."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{token}\n" for token in tokens)
