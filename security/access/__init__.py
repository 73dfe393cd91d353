"""Asking the policies: the decisions of Cerbos, and its plans for lists."""
