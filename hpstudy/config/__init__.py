"""What to run: a study as frozen, validated data, and the identity of one run."""
