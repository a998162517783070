"""Intake: from whatever the user has to validated, contiguous columns."""
