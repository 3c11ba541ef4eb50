"""Builds fine and coarse vocabularies from a corpus, with KenLM for phrases and jieba for words."""
