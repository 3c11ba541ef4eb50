"""All fine-tuning tasks by name, and tasks declared in `--task_file`."""

import difflib
import importlib.util
import os
import sys

from ambert_tf.errors import InputError, one_line
from ambert_tf.models.task_config import FORMS, SPANS
from ambert_tf.tasks import clue, custom_data, fewclue, glue, reading_comprehension, sequence_labelling
from ambert_tf.tasks.declaration import FORM_METRICS, Task
from ambert_tf.tasks.sequence_labelling_files import WORD

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        *clue.TASKS, *fewclue.TASKS, *glue.TASKS, *reading_comprehension.TASKS, *sequence_labelling.TASKS,
        *custom_data.TASKS,
    )
}  # fmt: skip

# Other common names.
ALIASES = {
    "cluewsc": "cluewsc2020",
    "wsc": "cluewsc2020",
    "cmrc": "cmrc2018",
    "cluener2020": "cluener",
    "conll_2003": "conll2003",
    "cws": "segmentation",
    "mnli_m": "mnli",
    "mnli_mm": "mnli_mismatched",
    "squad": "squad1",
    "squad_v1": "squad1",
    "squad1.1": "squad1",
    "squad_v2": "squad2",
    "squad2.0": "squad2",
    "resumener": "resume",
    "sst_2": "sst2",
    "sts_b": "stsb",
    "weiboner": "weibo",
}


def find_task(name: str, task_file: str | None = None) -> Task:
    """Returns the task with the given name, ignoring case and treating `-` like `_`.

    Args:
      name: name of the task, empty if `task_file` is given.
      task_file: a Python file with a declaration `TASK`.

    Raises:
      InputError: there is no such task. The message suggests similar names.
    """
    if task_file:
        return load_task(task_file)
    wanted = name.strip().lower().replace("-", "_")
    wanted = ALIASES.get(wanted, wanted)
    if wanted in TASKS:
        return TASKS[wanted]
    near = difflib.get_close_matches(wanted, TASKS, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the tasks are {', '.join(TASKS)}"
    raise InputError(f"--task_name={name}: no such task; {hint}" if name else f"--task_name is needed; {hint}")


def load_task(path: str) -> Task:
    """Returns the declaration `TASK` of a Python file.

    Raises:
      InputError: the file does not exist, raises an error, or does not define `TASK`.
    """
    if not os.path.isfile(path):
        raise InputError(f"--task_file={path}: no such file; a Python file with TASK = Task(...) is expected")
    spec = importlib.util.spec_from_file_location("task_file", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--task_file={path}: is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up the annotations of their fields there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        sys.modules.pop(spec.name, None)
        raise InputError(f"--task_file={path}: {type(error).__name__}: {one_line(error)}") from None
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise InputError(f"--task_file={path}: does not define TASK = Task(...), from ambert_tf.tasks.declaration")
    if wrong := _fault(task):
        raise InputError(f"--task_file={path}: {wrong}")
    return task


def _fault(task: Task) -> str | None:
    """Returns what is wrong with a declaration, or None."""
    if task.form not in FORMS:
        return f"form={task.form!r}; the forms are {', '.join(FORMS)}"
    names = [label.name for label in task.labels or ()]
    for name in task.metrics:
        if name not in FORM_METRICS[task.form]:
            return f"unknown metric {name!r}; the metrics of {task.form} are {', '.join(FORM_METRICS[task.form])}"
        if name.startswith("oov_") and names != [WORD]:
            return f"metric {name!r} is for word segmentation, with labels=named_labels({WORD!r})"
    if task.form == SPANS and len({name.startswith("mixed_") for name in task.metrics}) > 1:
        return f"metrics={task.metrics!r}; either all or none of them must be mixed_..., which are CMRC2018's"
    if task.positive_label is not None and names and task.positive_label not in names:
        return f"positive_label={task.positive_label!r} is not one of the labels {', '.join(names)}"
    return None
