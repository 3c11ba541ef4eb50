"""From text to fine and coarse token ids, in graph, with byte offsets and the alignment of the two grains."""
