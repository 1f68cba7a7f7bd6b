"""Reads the tree of a `use` declaration into its leaves."""

from .tokens import is_word


def read(text, line, i, end):
    """Gives the leaves as `(path, name, is_glob, line)`, and the index of the closing semicolon.

    `name` is the name that a leaf binds, `None` for a glob.
    """
    leaves = []
    return leaves, _read(text, line, i, end, (), leaves)


def _read(text, line, i, end, prefix, leaves):
    path = prefix
    at = line[i]
    while i < end:
        token = text[i]
        if token == "{":
            i += 1
            while i < end and text[i] != "}":
                i = i + 1 if text[i] == "," else _read(text, line, i, end, path, leaves)
            return i + 1
        if token == "*":
            leaves.append((path, None, True, at))
            return i + 1
        if token == "as":
            leaves.append((_without_self(path), text[i + 1], False, at))
            return i + 2
        if token in (";", ",", "}"):
            if path != prefix:
                path = _without_self(path)
                leaves.append((path, path[-1], False, at))
            return i
        if is_word(token):
            path = (*path, token)
        i += 1
    return i


def _without_self(path):
    return path[:-1] if len(path) > 1 and path[-1] == "self" else path
