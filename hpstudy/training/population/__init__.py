"""K networks of one shape trained as one program of a GPU."""
