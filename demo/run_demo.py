"""Pre-trains, fine-tunes, exports and queries a small Chinese AMBERT. See `DemoSettings`."""

from pipeline import DemoSettings, run_demo

from ambert_tf.flags import run_program

if __name__ == "__main__":
    run_program(DemoSettings, run_demo)
