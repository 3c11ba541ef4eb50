"""FewCLUE's variants of CLUE's tasks (Xu et al., 2021): the same records, with 32 to 240 training examples."""

import dataclasses

from ambert_tf.tasks import clue
from ambert_tf.tasks.declaration import Leaderboard, Task, files

FEWCLUE_PAGE = "https://github.com/CLUEbenchmark/FewCLUE"


def _few(task: Task, name: str, format: str = "clue") -> Task:
    return dataclasses.replace(
        task,
        name=f"fewclue_{name}",
        description=f"FewCLUE: {task.description}",
        # All five samples together, or the first. test_public.json has labels and can be passed to --eval_file.
        files=files(
            "train_few_all.json|train_0.json", "dev_few_all.json|dev_0.json|test_public.json",
            "test.json|test_public.json",
        ),
        companions=(),
        directories=(f"fewclue/{name}", f"FewCLUE/{name}", f"fewclue_{name}"),
        leaderboard=Leaderboard(file=f"{name}f_predict.json", format=format),
        download_page=FEWCLUE_PAGE,
    )  # fmt: skip


CHID = dataclasses.replace(
    _few(clue.CHID, "chid", "answer_lines"), choices=7, description="FewCLUE: idiom cloze test, seven candidates"
)

TASKS = (
    _few(clue.TNEWS, "tnews"),
    _few(clue.IFLYTEK, "iflytek"),
    _few(clue.CLUEWSC2020, "cluewsc"),
    _few(clue.CSL, "csl"),
    _few(clue.OCNLI, "ocnli"),
    CHID,
)
