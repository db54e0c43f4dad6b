"""What is kept: the store, published tables, and whether both are whole.

`Store` holds a row a run in SQLite, `write_table` and `read_published` are the way to a CSV and
back, and `check_files` computes everything in either again.
"""
