"""User errors: one line on stderr, and the exit status."""

import errno
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import tensorflow as tf

from ambert_tf import errors
from ambert_tf.errors import InputError, describe_os_error, one_line
from tests.graphs import stack_traces


def run_script(directory, body, *arguments):
    """Runs a script whose `main` has the given body. Returns its output and status."""
    script = directory / "script.py"
    script.write_text(
        "from absl import flags\n"
        "from ambert_tf.errors import InputError, run_main\n"
        "FLAGS = flags.FLAGS\n"
        "flags.DEFINE_integer('steps', 3, 'Steps.')\n"
        "def main(argv):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\nrun_main(main)\n"
    )
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


def test_log_lines_have_time_and_message_only(tmp_path):
    done = run_script(tmp_path, "from absl import logging\nlogging.info('step %d', 3)\nlogging.warning('slow')")
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(f"{time} step 3\n{time} warning: slow\n", done.stderr)


def test_main_that_returns_ends_with_status_0(tmp_path):
    done = run_script(tmp_path, "print('steps', FLAGS.steps)", "--steps=5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "steps 5\n", "")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise InputError('--steps=3: too few;\\n  give 4')", "error: --steps=3: too few; give 4"),
        ("open('/nowhere/corpus.txt')", "error: /nowhere/corpus.txt: No such file or directory"),
    ],
)
def test_input_and_system_errors_become_one_line(tmp_path, body, line):
    done = run_script(tmp_path, body)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line + "\n")


def test_full_disk_says_what_to_do(tmp_path):
    body = """
    with open('/dev/full', 'w') as file:
        file.write('a' * 100_000)
    """
    done = run_script(tmp_path, body)
    line = "error: no space left on device; free up disk space, or choose another output directory\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_a_closed_output_pipe_is_not_an_error(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("from ambert_tf.errors import run_main\nrun_main(lambda argv: print('line\\n' * 100_000))\n")
    for arguments in ([], ["--help"]):
        command = [sys.executable, script, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            run.stdout.close()
            assert (run.stderr.read(), run.wait()) == (b"", 141)


def test_bugs_keep_their_traceback(tmp_path):
    done = run_script(tmp_path, "{}['key']")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'key'" in done.stderr


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("--step=5", "'step'"),
        ("--steps=five", "--steps=five"),
        ("corpus.txt", "unexpected argument 'corpus.txt'; flags are written --name=value"),
    ],
)
def test_wrong_flags_are_named_in_one_line(tmp_path, argument, part):
    done = run_script(tmp_path, "print('ran')", argument)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert part in done.stderr


def test_one_line_joins_lines_and_blanks():
    assert one_line(InputError("a:\n\n  b\tc")) == "a: b c"


def test_describe_os_error():
    assert describe_os_error(PermissionError(errno.EACCES, "x", "out.txt")) == "out.txt: Permission denied"
    assert describe_os_error(OSError("Not a gzipped file")) == "Not a gzipped file"
    full = describe_os_error(OSError(errno.ENOSPC, "x", "out.txt"))
    assert full == "out.txt: no space left on device; free up disk space, or choose another output directory"


def test_errors_of_graphs_omit_the_stack_trace():
    @tf.function(input_signature=[tf.TensorSpec([None])], autograph=False)
    def graph(x):
        tf.debugging.assert_less(tf.size(x), 3, "too many values")
        return x + 1

    with stack_traces(), pytest.raises(tf.errors.InvalidArgumentError) as error:
        graph(tf.zeros([5]))
    assert "File " in error.value.message
    assert one_line(error.value).startswith("assertion failed: [too many values]")


def test_an_installed_package_logs_its_own_messages_but_not_those_of_libraries(tmp_path):
    packages = tmp_path / "site-packages"
    (packages / "installed").mkdir(parents=True)
    shutil.copyfile(errors.__file__, packages / "installed" / "errors.py")
    (packages / "library.py").write_text("from absl import logging\n\ndef log():\n    logging.info('of a library')\n")
    (packages / "installed" / "program.py").write_text(
        "from absl import logging\n"
        "from installed.errors import run_main\n"
        "from library import log\n\n"
        "def main(argv):\n    logging.info('of ours')\n    log()\n\n"
        "run_main(main)\n"
    )
    command = [sys.executable, "-m", "installed.program"]
    process = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=True)
    assert "of ours" in process.stderr
    assert "of a library" not in process.stderr
