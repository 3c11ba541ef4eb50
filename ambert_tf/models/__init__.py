"""Model configuration, embeddings, encoder, backbones, heads, losses, and the KerasHub task models."""
