"""The book, the terminal and the explorer.

`build_book` executes the notebooks and binds them, `show` displays a figure or a table with its
caption, and `compare` is the terminal's screen.
"""
