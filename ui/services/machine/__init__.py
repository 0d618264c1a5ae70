"""Services for this computer and the models on it."""
