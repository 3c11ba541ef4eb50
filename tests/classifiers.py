"""A small classification data set and a classifier fine-tuned on it, which tests share."""

import functools
import json
import os
import tempfile

from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings
from tests.small_models import small_config
from tests.tokenizers import chinese_tokenizer

# Sixteen texts of four classes. Neither the first character nor the length determines the class.
TEXTS = {
    "sports": ["乒乓球拍卖完了", "中国乒乓球", "人民的球拍", "好球"],
    "travel": ["南京市长江大桥", "长江好", "中国的大桥", "人民长江大桥"],
    "life": ["人民的生活", "南京市的生活", "中国人民生活好", "生活了"],
    "shop": ["商店里的好", "南京商店", "拍卖商店完了", "中国商店"],
}
RECORDS = [{"sentence": text, "label": label} for label, texts in TEXTS.items() for text in texts]


_HOLDERS = []  # directories that are deleted when the process ends


def write_json_lines(path, records):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return str(path)


def write_start(directory, model_type="ambert"):
    """Writes a tokenizer and the configuration of a small model without dropout. Returns their paths as flags."""
    tokenizer = chinese_tokenizer()
    tokenizer.save(os.path.join(directory, "tokenizer"))
    config = small_config(
        model_type,
        vocab_size=tokenizer.fine_vocab_size,
        coarse_vocab_size=tokenizer.coarse_vocab_size,
        hidden_size=32,
        num_hidden_layers=1,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    config.to_file(os.path.join(directory, "config.json"))
    return {
        "tokenizer_dir": os.path.join(directory, "tokenizer"),
        "config": os.path.join(directory, "config.json"),
    }


def fine_tune(directory, records=RECORDS, model_type="ambert", **flags):
    """Fine-tunes in `directory/model` until the records are memorized. Returns the evaluation results on them."""
    write_json_lines(os.path.join(directory, "train.json"), records)
    write_json_lines(os.path.join(directory, "dev.json"), records)
    values = {
        "task_name": "sentence",
        "data_dir": str(directory),
        "output_dir": os.path.join(directory, "model"),
        "do_train": True,
        "do_eval": True,
        "max_seq_length": 16,
        "train_batch_size": 16,
        "num_train_epochs": 100,
        "learning_rate": 0.005,
        "save_checkpoints_steps": 1000,
        "steps_per_loop": 25,
        **write_start(directory, model_type),
        **flags,
    }
    return run_fine_tuning(ClassificationSettings(**values))


@functools.cache
def fine_tuned(model_type="ambert"):
    """Returns the directory of a model fine-tuned on `RECORDS`, once per process, and the results."""
    holder = tempfile.TemporaryDirectory()
    results = fine_tune(holder.name, model_type=model_type)
    _HOLDERS.append(holder)
    return holder.name, results
