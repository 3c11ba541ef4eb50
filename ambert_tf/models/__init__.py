"""Configuration, embeddings, encoder, the five models, their heads and losses."""
