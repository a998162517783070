"""Whole products: command-line verbs, study reports and the demo."""
