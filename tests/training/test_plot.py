import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.training.plot import PlotSettings, chosen_metrics, draw, make_figure, read_runs, run_plot


def write_run(directory, offset=0.0, evaluated=False):
    directory.mkdir(parents=True)
    lines = [{"step": step, "loss": offset + 5.0 - step, "learning_rate": 0.1 * step} for step in (1, 2, 3)]
    if evaluated:
        lines.append({"step": 3, "eval_loss": offset + 3.0, "eval_sequences": 9})
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(directory)


def test_each_metric_has_a_panel_and_each_run_a_line(tmp_path):
    runs = read_runs([write_run(tmp_path / "one", evaluated=True), write_run(tmp_path / "two", offset=1.0)])
    figure = make_figure(runs, chosen_metrics(runs, []))
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == ["loss", "learning rate"]
    drawn = {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in panels[0].lines}
    assert drawn == {
        "one": ([1, 2, 3], [4.0, 3.0, 2.0]),
        "one, held-out": ([3], [3.0]),
        "two": ([1, 2, 3], [5.0, 4.0, 3.0]),
    }
    one, held_out, two = panels[0].lines
    assert one.get_color() == held_out.get_color() != two.get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "one, held-out", "two"]


def test_unused_panels_are_hidden(tmp_path):
    figure = make_figure(read_runs([write_run(tmp_path / "run")]), ["loss", "learning_rate", "loss", "loss"])
    assert [panel.get_visible() for panel in figure.axes] == [True] * 4 + [False] * 2


def test_runs_of_one_name_are_named_by_their_paths(tmp_path):
    directories = [write_run(tmp_path / place / "run") for place in ("a", "b")]
    assert [run.name for run in read_runs(directories)] == directories


@pytest.mark.parametrize(("ending", "beginning"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_extension_determines_the_format(tmp_path, ending, beginning):
    output = tmp_path / f"curves.{ending}"
    draw([write_run(tmp_path / "run")], str(output), ["loss"])
    assert output.read_bytes().startswith(beginning)


def test_an_incomplete_last_line_is_skipped(tmp_path):
    directory = write_run(tmp_path / "run")
    with open(tmp_path / "run" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    assert read_runs([directory])[0].curves["loss"][0] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"run: has no metrics\.jsonl, so it is not an --output_dir of training"),
        ("", r"metrics\.jsonl: has no metrics yet"),
        ('{"step": 1, "loss": 2}\n{"loss": 3}\n', r"metrics\.jsonl: line 2 is not a JSON object with a step"),
        ("loss\n", r"metrics\.jsonl: line 1 is not a JSON object with a step"),
    ],
)
def test_unreadable_metrics_are_named(tmp_path, content, message):
    (tmp_path / "run").mkdir()
    if content is not None:
        (tmp_path / "run" / "metrics.jsonl").write_text(content)
    with pytest.raises(InputError, match=message):
        draw([str(tmp_path / "run")], str(tmp_path / "curves.png"))
    assert not (tmp_path / "curves.png").exists()


def test_mistakes_are_one_line(tmp_path):
    directory, output = write_run(tmp_path / "run"), str(tmp_path / "curves.png")
    with pytest.raises(InputError, match="name the runs' directories"):
        run_plot(PlotSettings())
    with pytest.raises(InputError, match=r"nowhere: no such directory"):
        draw(["nowhere"], output)
    with pytest.raises(InputError, match="--metrics=los: no run has this metric; the metrics are learning_rate, loss"):
        draw([directory], output, ["los"])
    with pytest.raises(InputError, match=r"--output=.*curves\.bmp2: Format 'bmp2' is not supported"):
        draw([directory], str(tmp_path / "curves.bmp2"))
    assert not list(tmp_path.glob("*curves*"))
