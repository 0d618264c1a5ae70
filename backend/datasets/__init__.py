"""What a person brings: read, detect, convert, check, fix, split."""
