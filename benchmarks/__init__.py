"""What is measured, against whom, on the same work; ``lf bench NAME --help`` tells what can be set."""
