"""Try: the trained model and its base answer the same question."""
