"""Anyone's tables of runs, read into one table with every value checked."""

from hpstudy.analysis.run_tables.read import RunTable, read_runs

__all__ = ["RunTable", "read_runs"]
