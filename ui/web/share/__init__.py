"""Share: export the model, checked to be the same model."""
