"""The audit trail's chain: its formula, the check of it, signed heads and exports. It reads no table itself."""
