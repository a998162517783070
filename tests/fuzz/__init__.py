"""Generated hostile input for every public entry point; ``python -m tests.fuzz --help``."""
