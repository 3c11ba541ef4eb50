"""TensorFlow ops from text to fine and coarse token ids, with byte offsets and the alignment of the two grains."""
