"""What is kept: the store, published tables, and whether both are whole."""
