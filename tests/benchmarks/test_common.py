import gzip

import pytest

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
