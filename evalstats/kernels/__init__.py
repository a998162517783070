"""Compiled code that more than one method uses, and the one decorator that compiles it."""
