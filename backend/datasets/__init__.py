"""The user's data: read, converted to rows, checked, fixed and split."""
