"""Checks the structure of the repository: imports, layers, names, `unsafe`, length and prose."""
