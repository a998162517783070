"""Populations and designs of each family of metrics."""
