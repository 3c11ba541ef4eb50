"""Runs google-research/bert's create_pretraining_data.py, which was written for TensorFlow 1, under TensorFlow 2.

python benchmarks/google_create_pretraining_data.py CHECKOUT --input_file=... (the script's flags)
"""

import os
import runpy
import sys

import tensorflow.compat.v1 as tf1

if __name__ == "__main__":
    sys.modules["tensorflow"] = tf1
    checkout = sys.argv[1]
    sys.path.insert(0, checkout)
    sys.argv = sys.argv[1:]
    runpy.run_path(os.path.join(checkout, "create_pretraining_data.py"), run_name="__main__")
