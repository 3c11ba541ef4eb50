import pytest

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.display import check_record, describe_record, tabulate_record

FINE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "商", "店", "的", "好"]
COARSE = [*FINE, "商店"]
RECORD = {
    "fine_input_ids": [2, 4, 4, 8, 7, 3, 5, 3],
    "fine_segment_ids": [0, 0, 0, 0, 0, 0, 1, 1],
    "fine_to_coarse": [0, 1, 1, 2, 3, 4, 5, 6],
    "fine_masked_lm_positions": [1, 2, 3, 4],
    "fine_masked_lm_ids": [5, 6, 6, 7],
    "coarse_input_ids": [2, 4, 9, 7, 3, 5, 3],
    "coarse_segment_ids": [0, 0, 0, 0, 0, 1, 1],
    "coarse_masked_lm_positions": [1, 2, 3],
    "coarse_masked_lm_ids": [9, 6, 7],
    "next_sentence_label": [1],
}


def test_a_record_in_three_lines():
    assert describe_record(RECORD, FINE, COARSE).splitlines() == [
        "8 fine tokens (4 masked), 7 coarse tokens (3 masked), random second segment",
        "  coarse: [CLS] {商店→[MASK]} {店→商店} {的} [SEP] 商 [SEP]",
        "  fine:   [CLS] {商→[MASK]}·{店→[MASK]} {店→好} {的} [SEP] 商 [SEP]",
    ]


def test_a_record_as_a_table():
    assert tabulate_record(RECORD, FINE, COARSE).splitlines()[1:] == [
        "    0 A  [CLS]          [CLS]",
        "    1 A  {商店→[MASK]}  {商→[MASK]} {店→[MASK]}",
        "    2 A  {店→商店}      {店→好}",
        "    3 A  {的}           {的}",
        "    4 A  [SEP]          [SEP]",
        "    5 B  商             商",
        "    6 B  [SEP]          [SEP]",
    ]


def test_records_without_masks_or_labels():
    record = {name: value for name, value in RECORD.items() if "masked" not in name and "next" not in name}
    assert describe_record(record, FINE, COARSE).splitlines() == [
        "8 fine tokens, 7 coarse tokens",
        "  coarse: [CLS] [MASK] 商店 的 [SEP] 商 [SEP]",
        "  fine:   [CLS] [MASK]·[MASK] 好 的 [SEP] 商 [SEP]",
    ]


def test_the_tokenizer_must_be_the_one_of_the_records():
    with pytest.raises(InputError, match="has coarse id 9, but the vocabulary has 9 lines; use the"):
        check_record(RECORD, FINE, FINE)
    check_record(RECORD, FINE, COARSE)
