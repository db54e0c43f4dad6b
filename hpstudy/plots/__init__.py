"""What it looks like: `<noun>_data` prepares, `plot_<noun>` draws."""
