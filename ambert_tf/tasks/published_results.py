"""Published results from the paper's tables. None of them are ours.

From Tables 1, 2, 4 and 5 of "AMBERT: A Pre-trained Language Model with Multi-Grained Tokenization" (Zhang, Li and Li),
first full version: base models, in percent, on the leaderboards' test sets unless a column says otherwise.
"""

from collections.abc import Mapping

PUBLISHED_MODELS = ("Google BERT", "Our BERT (fine)", "Our BERT (coarse)", "AMBERT-Combo", "AMBERT-Hybrid", "AMBERT")


def _column(set_name: str, *values: str) -> tuple[str, tuple[str, ...]]:
    return set_name, values


# By task: data set and metric, and a figure for each of PUBLISHED_MODELS, "-" if none was published.
PUBLISHED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tnews": _column("test accuracy", "66.99", "67.48", "68.20", "69.60", "69.04", "68.58"),
    "iflytek": _column("test accuracy", "60.29", "57.50", "59.96", "58.73", "56.42", "59.73"),
    "cluewsc2020": _column("test accuracy", "71.03", "70.69", "75.52", "71.03", "76.21", "78.28"),
    "afqmc": _column("test accuracy", "73.70", "71.80", "73.48", "75.63", "74.41", "73.87"),
    "csl": _column("test accuracy", "83.50", "83.83", "85.17", "85.07", "85.60", "85.70"),
    "cmnli": _column("test accuracy", "79.69", "80.08", "79.97", "81.58", "81.10", "81.87"),
    "cmrc2018": _column(
        "dev F1/EM", "85.48/64.77", "85.64/65.45", "81.87/41.69", "86.12/65.11", "86.71/68.16", "87.29/68.78"
    ),
    "chid": _column("dev accuracy", "82.20", "83.44", "80.89", "84.53", "83.37", "87.20"),
    "c3": _column("dev accuracy", "65.70", "66.43", "66.72", "67.74", "67.45", "69.52"),
    "cola": _column("test Matthews", "52.1", "53.7", "54.8", "57.1", "50.9", "54.3"),
    "sst2": _column("test accuracy", "93.5", "93.8", "93.8", "94.5", "93.4", "94.5"),
    "mrpc": _column(
        "test F1/accuracy", "88.9/81.9", "88.8/84.8", "87.4/82.5", "89.2/84.8", "89.0/85.2", "89.7/86.1"
    ),
    "stsb": _column(
        "test Pearson/Spearman", "81.5/85.8", "84.3/86.0", "82.9/84.9", "84.4/85.8", "84.7/87.6", "84.7/87.1"
    ),
    "qqp": _column(
        "test F1/accuracy", "71.2/88.5", "71.6/89.0", "70.1/88.8", "71.8/88.6", "71.0/89.2", "72.5/89.4"
    ),
    "mnli": _column(
        "test accuracy, m/mm", "84.6/83.4", "85.0/84.5", "84.1/83.8", "84.7/84.2", "84.6/84.7", "86.3/85.3"
    ),
    "qnli": _column("test accuracy", "90.5", "91.2", "90.6", "90.4", "91.2", "91.5"),
    "rte": _column("test accuracy", "66.4", "66.8", "65.1", "66.2", "68.5", "70.5"),
    "squad1": _column("dev EM/F1", "80.8/88.5", "83.8/90.6", "67.4/82.3", "84.0/90.9", "83.6/90.3", "84.2/90.8"),
    "squad2": _column("dev EM/F1", "70.1/73.5", "76.6/79.6", "55.4/62.6", "76.4/79.6", "76.4/79.4", "77.6/80.6"),
    "race": _column("dev accuracy", "64.5", "62.4", "66.9", "66.6", "67.1", "68.9"),
}
