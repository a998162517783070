"""Results: the estimate, the tables and displays made from it, and the works to cite."""
