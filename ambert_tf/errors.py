"""Users' errors, and how the programs report them: one line, no traceback."""

import errno
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Sequence
from logging import INFO, WARNING, Formatter, LogRecord

from absl import app, flags, logging


class InputError(ValueError):
    """A flag or an input file is wrong.

    The message is one line. It names the flag, the file and the line or record, and says what is wrong and what
    would be right.
    """


_STACK = re.compile(r"Graph execution error:|Detected at node |\s+File \"|\s*\[\[\{\{node")


def one_line(error: BaseException) -> str:
    """Returns the message of an error as a single line, without the call stack that TensorFlow adds in graphs."""
    return " ".join(" ".join(line for line in str(error).splitlines() if not _STACK.match(line)).split())


_ELSEWHERE = "choose another output directory"
# Failed writes. TensorFlow, safetensors and HDF5 quote the system's message in exceptions of their own.
_WRITE_PROBLEMS = {
    errno.ENOSPC: f"no space left on the device; free some, or {_ELSEWHERE}",
    errno.EDQUOT: f"disk quota exceeded; free some space, or {_ELSEWHERE}",
    errno.EFBIG: f"the file is larger than the file system or the process's limit allows; {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only; {_ELSEWHERE}",
}
_FILE = re.compile(r"(?P<name>(?:[a-z]\w*:/)?/[^\s;:]+)\s*[;:]")


def write_problem(error: BaseException) -> str | None:
    """Returns what kept a file from being written (full disk, quota, size limit, read-only), None for other errors."""
    if isinstance(error, OSError) and error.errno:
        return _WRITE_PROBLEMS.get(error.errno)
    text = str(error)
    return next((reason for code, reason in _WRITE_PROBLEMS.items() if os.strerror(code) in text), None)


def describe_os_error(error: OSError) -> str:
    """Returns one line for an operating-system error, with the file name."""
    reason = write_problem(error) or (os.strerror(error.errno) if error.errno else one_line(error))
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{reason}"


def _describe(error: Exception) -> str | None:
    """Returns one line for an error that is not a bug, None for one that deserves its traceback."""
    if isinstance(error, InputError):
        return one_line(error)
    if isinstance(error, OSError):
        return describe_os_error(error)
    problem = write_problem(error)
    if problem is not None:
        found = _FILE.search(str(error))
        return f"{found['name']}: {problem}" if found else problem
    tensorflow = sys.modules.get("tensorflow")
    # Remote file systems report missing files, missing rights and broken connections this way.
    if tensorflow is not None and isinstance(error, tensorflow.errors.OpError) and "://" in error.message:
        return one_line(error)
    return None


def run_main(main: Callable[[Sequence[str]], object], takes_files: bool = False) -> None:
    """Runs `main(argv)` under absl. Users' errors and failed writes end it with status 1 and one line on stderr.

    Args:
      main: the program.
      takes_files: whether the program takes positional arguments, in `argv[1:]`; otherwise they are an error.
    """

    def guarded(argv: Sequence[str]) -> int:
        if len(argv) > 1 and not takes_files:
            print(f"error: unexpected argument {argv[1]!r}; flags are written --name=value", file=sys.stderr)
            return 1
        try:
            main(argv)
        except BrokenPipeError:
            raise
        except Exception as error:
            line = _describe(error)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
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
    try:
        app.run(guarded, flags_parser=parse)
    except BrokenPipeError:
        _end_quietly_without_reader()
        raise


def _end_quietly_without_reader() -> None:
    """Ends the process if the reader of standard output, such as `head`, has ended."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at exit.
        sys.exit(128 + signal.SIGPIPE)


class _LogFormatter(Formatter):
    """Formats a log line as time and message; absl's thread id and source line tell a user nothing."""

    def format(self, record: LogRecord) -> str:
        record.label = f"{record.levelname.lower()}: " if record.levelno >= WARNING else ""
        return super().format(record)


def _is_ours(record: LogRecord) -> bool:
    """Hides the informational messages of libraries, such as how each checkpoint is sharded."""
    return record.levelno > INFO or f"{os.sep}site-packages{os.sep}" not in record.pathname
