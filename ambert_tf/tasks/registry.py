"""All classification tasks by name."""

import difflib

from ambert_tf.errors import InputError
from ambert_tf.tasks import clue, own_data
from ambert_tf.tasks.declaration import ClassificationTask

TASKS: dict[str, ClassificationTask] = {task.name: task for task in (*clue.TASKS, *own_data.TASKS)}


def find_task(name: str) -> ClassificationTask:
    """Returns the task of a name; case and `-` for `_` do not matter.

    Raises:
      InputError: there is none; names near it are suggested.
    """
    wanted = name.strip().lower().replace("-", "_")
    if wanted in TASKS:
        return TASKS[wanted]
    near = difflib.get_close_matches(wanted, TASKS, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the tasks are {', '.join(TASKS)}"
    raise InputError(f"--task_name={name}: there is no such task; {hint}" if name else f"--task_name is needed; {hint}")
