"""Agreement with independent software on shared inputs: one table of largest differences.

``python -m benchmarks.agreement`` runs every check whose peer is installed and writes
``docs/generated/agreement.md``.
"""
