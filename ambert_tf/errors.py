"""User errors, which programs report in one line, without a traceback."""

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
    """A flag or an input file is invalid.

    The one-line message names the flag, the file, and the line or record. It says what is wrong and what is expected.
    """


_STACK = re.compile(r"Graph execution error:|Detected at node |\s+File \"|\s*\[\[\{\{node")


def one_line(error: BaseException) -> str:
    """Returns the message of an error as a single line, without the stack trace that TensorFlow adds in graphs."""
    return " ".join(" ".join(line for line in str(error).splitlines() if not _STACK.match(line)).split())


_PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_ELSEWHERE = "choose another output directory"
# Failed writes. TensorFlow, safetensors and HDF5 quote the system's message in their own exceptions.
_WRITE_PROBLEMS = {
    errno.ENOSPC: f"no space left on device; free up disk space, or {_ELSEWHERE}",
    errno.EDQUOT: f"disk quota exceeded; free up disk space, or {_ELSEWHERE}",
    errno.EFBIG: f"the file is larger than the file system or the process's limit allows; {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only; {_ELSEWHERE}",
}
_FILE = re.compile(r"(?P<name>(?:[a-z]\w*:/)?/[^\s;:]+)\s*[;:]")


def write_problem(error: BaseException) -> str | None:
    """Returns why a file could not be written (full disk, quota, size limit, read-only), or None for other errors."""
    if isinstance(error, OSError) and error.errno:
        return _WRITE_PROBLEMS.get(error.errno)
    text = str(error)
    return next((reason for code, reason in _WRITE_PROBLEMS.items() if os.strerror(code) in text), None)


def describe_os_error(error: OSError) -> str:
    """Describes an operating system error in one line, with the file name."""
    reason = write_problem(error) or (os.strerror(error.errno) if error.errno else one_line(error))
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{reason}"


def _describe(error: Exception) -> str | None:
    """Describes an error that is not a bug in one line. Returns None for errors that need a traceback."""
    if isinstance(error, InputError):
        return one_line(error)
    if isinstance(error, OSError):
        return describe_os_error(error)
    problem = write_problem(error)
    if problem is not None:
        found = _FILE.search(str(error))
        return f"{found['name']}: {problem}" if found else problem
    tensorflow = sys.modules.get("tensorflow")
    # Remote file systems report missing files, missing permissions and connection failures this way.
    if tensorflow is not None and isinstance(error, tensorflow.errors.OpError) and "://" in error.message:
        return one_line(error)
    return None


def run_main(main: Callable[[Sequence[str]], object], takes_files: bool = False) -> None:
    """Runs `main(argv)` under absl. User errors and failed writes end it with status 1 and one line on stderr.

    Args:
      main: the program.
      takes_files: whether the program takes positional arguments, in `argv[1:]`. Otherwise they are an error.
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
    """Ends the process quietly if the reader of its standard output, such as `head`, has ended."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        sys.exit(128 + signal.SIGPIPE)


class _LogFormatter(Formatter):
    """Formats log lines as time and message, without absl's thread id and source line."""

    def format(self, record: LogRecord) -> str:
        record.label = f"{record.levelname.lower()}: " if record.levelno >= WARNING else ""
        return super().format(record)


def _is_ours(record: LogRecord) -> bool:
    """Hides the informational messages of libraries, such as how each checkpoint is sharded."""
    # An installed copy of this package is in site-packages, too.
    ours = record.pathname.startswith(_PACKAGE) or f"{os.sep}site-packages{os.sep}" not in record.pathname
    return ours or record.levelno > INFO
