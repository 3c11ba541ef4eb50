"""Corpora to fine and coarse vocabularies: phrases by KenLM, words by jieba."""
