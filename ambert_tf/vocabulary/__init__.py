"""Builds fine and coarse vocabularies from a corpus: phrases with KenLM, words with jieba."""
