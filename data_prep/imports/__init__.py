"""Files of every kind to rows in canonical form."""
