"""What to run: a study as frozen, validated data, and the identity of one run.

`Study.load` reads a params file, `Grid` has its settings, and `RunSpec.run_id` identifies a run by
everything that can change its number.
"""
