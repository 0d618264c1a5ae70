"""A page that many people visit: what they may do there, and how much."""
