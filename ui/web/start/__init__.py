"""Start: what the model should learn, what this computer can do, which model to use."""
