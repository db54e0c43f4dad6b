"""Who trains the runs of a sweep: workers of this machine, or nodes of a Ray cluster."""
