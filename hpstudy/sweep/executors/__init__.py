"""Executors train the runs of a sweep: `local` on this machine, `ray` on a Ray cluster."""
