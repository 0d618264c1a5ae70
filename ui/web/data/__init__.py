"""Data: add examples, see what is wrong with them and fix it, see what will be learned."""
