"""Personal data out of texts: Presidio with recognisers for Korean identifiers, and a rule for names in context."""
