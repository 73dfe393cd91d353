"""How much of a caller is too much: whose request it is, and how deep its JSON goes."""
