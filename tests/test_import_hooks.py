import importlib.util
import sys

from ambert_tf.import_hooks import around_import


def test_runs_once_around_the_first_import(tmp_path, monkeypatch):
    (tmp_path / "hooked.py").write_text("import builtins\nbuiltins.order.append('module')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    order = []
    monkeypatch.setattr("builtins.order", order, raising=False)

    def run(execute):
        order.append("before")
        execute()
        order.append("after")

    finders = list(sys.meta_path)
    around_import("hooked", run)
    around_import("hooked", run)  # no effect
    # This is how libraries look for optional packages. It must not use up the hook.
    assert importlib.util.find_spec("hooked") is not None
    assert order == []
    importlib.import_module("hooked")
    assert order == ["before", "module", "after"]
    assert sys.meta_path == finders
