"""Errors that a user can cause, and how the command lines report them: one line, no traceback."""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from logging import INFO, WARNING, Formatter, LogRecord

from absl import app, flags, logging


class InputError(ValueError):
    """Something the user gave is wrong.

    The message is one line: it names the flag, the file and the line or record, says what is wrong and
    what would be right.
    """

_STACK = re.compile(r"Graph execution error:|Detected at node |\s+File \"|\s*\[\[\{\{node")


def one_line(error: BaseException) -> str:
    """Returns the message of an error as a single line, without the call stack in those of TensorFlow's graphs."""
    return " ".join(" ".join(line for line in str(error).splitlines() if not _STACK.match(line)).split())


def describe_os_error(error: OSError) -> str:
    """Returns one line for an operating-system error, with the file it is about."""
    reason = os.strerror(error.errno) if error.errno else one_line(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "no space left on the device; free some, or choose another output directory"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{reason}"


def run_main(main: Callable[[Sequence[str]], object], takes_files: bool = False) -> None:
    """Runs `main(argv)` under absl; an `InputError` or `OSError` ends it with status 1 and one line on stderr.

    Args:
      main: the program.
      takes_files: the program takes what is not a flag, in `argv[1:]`; otherwise that is an error.
    """

    def guarded(argv: Sequence[str]) -> int:
        if len(argv) > 1 and not takes_files:
            print(f"error: unexpected argument {argv[1]!r}; flags are written --name=value", file=sys.stderr)
            return 1
        try:
            main(argv)
        except InputError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"error: {describe_os_error(error)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("error: interrupted", file=sys.stderr)
            return 130
        return 0

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            sys.exit(1)

    logging.get_absl_handler().addFilter(_is_ours)
    logging.get_absl_handler().setFormatter(_LogFormatter("%(asctime)s %(label)s%(message)s", "%Y-%m-%d %H:%M:%S"))
    app.run(guarded, flags_parser=parse)


class _LogFormatter(Formatter):
    """Formats a log line as time and message; absl's thread id and source line tell a user nothing."""

    def format(self, record: LogRecord) -> str:
        record.label = f"{record.levelname.lower()}: " if record.levelno >= WARNING else ""
        return super().format(record)


def _is_ours(record: LogRecord) -> bool:
    """Keeps what libraries log while all goes well, such as each checkpoint's sharding, off the screen."""
    return record.levelno > INFO or f"{os.sep}site-packages{os.sep}" not in record.pathname
