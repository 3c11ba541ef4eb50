"""Runs the commands of the guides on the demo's models and shows what they print.

    python benchmarks/guides.py --demo_dir=output/demo --output_dir=output/guides

Without --demo_dir, it runs the demo first. The other commands take five minutes. Their output (figures, pages, tables,
exports, conversions) is kept in --output_dir. The demo itself covers data creation, pre-training and fine-tuning.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import flags
from common import ROOT, command_environment, machine

from ambert_tf.errors import InputError, run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("demo_dir", None, "Output directory of demo/run_demo.py. Default: run the demo first.")
flags.DEFINE_string("output_dir", None, "Output directory. Default: a temporary one.")
flags.DEFINE_list("only", [], "Run only commands that contain one of these strings, such as analysis,export.")

COMMANDS = """
data/inspect_records.py DEMO/held_out_records/held_out.tfrecord --num_records=2 --notable
-m ambert_tf.training.plot DEMO/pretrained --output=OUT/curves.png
-m ambert_tf.tasks.report DEMO/classifier DEMO/classifier_from_scratch
-m ambert_tf.models.summary
-m ambert_tf.analysis.tokens --tokenizer_dir=DEMO/pretrained/tokenizer --input_file=DEMO/corpus/held_out.txt
-m ambert_tf.analysis.attention --model_dir=DEMO/pretrained,DEMO/classifier --text=商店里的乒乓球拍卖完了 --layer=2 \
    --output=OUT/attention.png
-m ambert_tf.analysis.attention --model_dir=DEMO/classifier --text=商店里的乒乓球拍卖完了 --output=OUT/attention.html
-m ambert_tf.analysis.distances --model_dir=DEMO/pretrained,DEMO/classifier --input_file=DEMO/reviews/dev.json \
    --text_field=sentence --output=OUT/distances.png
-m ambert_tf.analysis.cases --model_dir=DEMO/classifier --data_dir=DEMO/reviews --output=OUT/cases.md
export_saved_model.py --model_dir=DEMO/classifier --export_dir=OUT/single --inference=fine
export_saved_model.py --model_dir=DEMO/classifier --export_dir=OUT/models/reviews --version=1 --check_file=OUT/dev.jsonl
convert_checkpoint.py --from_format=ambert --input=DEMO/pretrained --to_format=huggingface --output=OUT/huggingface
convert_checkpoint.py --from_format=huggingface --input=OUT/huggingface --to_format=ambert --model_type=ambert \
    --tokenizer_dir=DEMO/pretrained/tokenizer --output=OUT/warm_started
convert_checkpoint.py --from_format=ambert --input=DEMO/pretrained --to_format=google_bert --output=OUT/google
"""


def write_check_file(demo: str, path: str) -> None:
    """Writes the demo's test reviews as labelled requests."""
    with open(os.path.join(demo, "reviews", "dev.json"), encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            line = {"text": record["sentence"], "label": record["label"]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main(argv: Sequence[str]) -> None:
    """Runs the commands."""
    del argv
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        output = os.path.abspath(FLAGS.output_dir or os.path.join(temporary, "guides"))
        os.makedirs(output, exist_ok=True)
        demo = os.path.abspath(FLAGS.demo_dir or os.path.join(temporary, "demo"))
        if not FLAGS.demo_dir:
            subprocess.run(
                [sys.executable, "demo/run_demo.py", f"--output_dir={demo}"],
                cwd=ROOT,
                env=command_environment(),
                check=True,
            )
        write_check_file(demo, os.path.join(output, "dev.jsonl"))
        for line in COMMANDS.replace("\\\n", " ").strip().splitlines():
            if FLAGS.only and not any(part in line for part in FLAGS.only):
                continue
            print(f"\n$ python {' '.join(line.split())}", flush=True)
            command = [part.replace("DEMO", demo).replace("OUT", output) for part in shlex.split(line)]
            begun = time.perf_counter()
            if subprocess.run([sys.executable, *command], cwd=ROOT, env=command_environment(), check=False).returncode:
                raise InputError(f"failed: python {line}")
            print(f"({time.perf_counter() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    run_main(main)
