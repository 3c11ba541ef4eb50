import gzip

import pytest

from ambert_tf.errors import InputError
from benchmarks import common
from benchmarks.common import corpus_text


@pytest.mark.parametrize(
    "content",
    ["一。\n二。\n\n三。\n", "一。\r\n二。\r\n\r\n三。", "\ufeff一。\n 二。\n \t\n\n三。\n\n"],
)
@pytest.mark.parametrize("ending", ["txt", "txt.gz"])
def test_corpora_have_berts_format(tmp_path, content, ending):
    """Plain or compressed, with any line ends, as in data creation."""
    path = tmp_path / f"corpus.{ending}"
    path.write_bytes(gzip.compress(content.encode()) if ending == "txt.gz" else content.encode())
    assert corpus_text([str(path)] * 2).decode() == "一。\n二。\n\n三。\n\n" * 2


def test_a_corpus_that_is_not_utf8_is_reported_without_flags_that_benchmarks_lack(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes("一。\n".encode() + b"\xff\n")
    with pytest.raises(InputError, match=r"corpus\.txt: line 2 is not UTF-8 \(byte 0xff\); convert the file to UTF-8$"):
        corpus_text([str(path)])


def test_an_interrupted_command_has_ended_when_the_benchmark_does(monkeypatch):
    calls = []

    class Process:
        pid = 0
        terminate = staticmethod(lambda: calls.append("terminate"))
        wait = staticmethod(lambda: calls.append("wait"))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(common.subprocess, "Popen", lambda *_, **__: Process)
    monkeypatch.setattr(common.os, "wait4", interrupted)
    with pytest.raises(KeyboardInterrupt):
        common.run_command(["python"])
    assert calls == ["terminate", "wait"]
