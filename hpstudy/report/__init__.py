"""The book, the terminal and the explorer."""
