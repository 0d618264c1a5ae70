"""Text as the datasets and the evaluation compare, shorten and read it."""
