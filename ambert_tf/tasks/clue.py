"""CLUE's classification tasks (Xu et al., 2020, "CLUE: A Chinese Language Understanding Evaluation Benchmark")."""

from ambert_tf.tasks.declaration import ClassificationTask, Label, Texts
from ambert_tf.tasks.json_lines import Record

CLUE_PAGE = "https://github.com/CLUEbenchmark/CLUE"


def _tnews_texts(record: Record, augment: bool) -> Texts:
    sentence = record.string("sentence")
    keywords = record.string("keywords", default="")
    return Texts(f"{sentence}。{keywords}" if augment and keywords else sentence)


TNEWS = ClassificationTask(
    name="tnews",
    description="titles of short news articles, 15 classes",
    texts=_tnews_texts,
    labels=(
        Label("100", "news_story"),
        Label("101", "news_culture"),
        Label("102", "news_entertainment"),
        Label("103", "news_sports"),
        Label("104", "news_finance"),
        Label("106", "news_house"),
        Label("107", "news_car"),
        Label("108", "news_edu"),
        Label("109", "news_tech"),
        Label("110", "news_military"),
        Label("112", "news_travel"),
        Label("113", "news_world"),
        Label("114", "news_stock"),
        Label("115", "news_agriculture"),
        Label("116", "news_game"),
    ),
    # Appendix D: "we use both keywords and titles".
    augmentation="keywords joined to the title by a full stop",
    leaderboard_file="tnews_predict.json",
    download_page=CLUE_PAGE,
)

TASKS = (TNEWS,)
