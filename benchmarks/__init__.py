"""What is measured, against whom, on the same work; each module is a command: ``python -m benchmarks.NAME --help``."""
