"""Reading anyone's table of runs."""
