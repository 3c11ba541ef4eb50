"""Variables shared by tests of optimizers."""

import keras
import numpy as np


def variable(path, values):
    """Returns a Keras variable with the given path and values."""
    created = keras.Variable(np.array(values, np.float32), name=path.split("/")[-1])
    created._path = path
    return created
