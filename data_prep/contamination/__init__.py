"""Does training data hold what a test suite asks? Exact, nearly the same, contained, or long runs of characters in common."""
