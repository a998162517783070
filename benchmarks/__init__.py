"""Every speed claim of the documentation, measured against its peer in the same run."""
