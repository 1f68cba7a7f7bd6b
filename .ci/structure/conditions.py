"""Conditions of `#[cfg(...)]`: which need a test build, and which exclude each other."""

from itertools import product

from .tokens import is_word


def parse(text, start, end):
    """Parses the tokens of one condition.

    Gives `("all", ...)`, `("any", ...)`, `("not", inner)`, or an atom `("is", key, value)`.
    """
    condition, _ = _parse_one(text, start, end)
    return condition


def _parse_one(text, at, end):
    name = text[at]
    at += 1
    if name in ("all", "any", "not") and at < end and text[at] == "(":
        parts = []
        at += 1
        while at < end and text[at] != ")":
            if text[at] == ",":
                at += 1
                continue
            part, at = _parse_one(text, at, end)
            parts.append(part)
        return (name, *parts), at + 1
    if at + 1 < end and text[at] == "=":
        return ("is", name, text[at + 1].lstrip('"')), at + 2
    return ("is", name if is_word(name) else "?", None), at


def needs_test(condition):
    """Says whether the condition holds in test builds (or documentation tests) alone."""
    if condition[0] == "is":
        return condition[1] in ("test", "doctest")
    if condition[0] == "all":
        return any(map(needs_test, condition[1:]))
    if condition[0] == "any":
        return len(condition) > 1 and all(map(needs_test, condition[1:]))
    return False


def exclusive(one, other):
    """Says whether no build fulfils both lists of conditions."""
    both = ("all", *one, *other)
    atoms = sorted(_atoms(both), key=repr)
    # Beyond that, tables of truth would take long; no item of the repository comes near it.
    if len(atoms) > 12:
        return False
    for values in product((False, True), repeat=len(atoms)):
        truth = dict(zip(atoms, values))
        if _possible(truth) and _holds(both, truth):
            return False
    return True


def _atoms(condition):
    if condition[0] == "is":
        return {condition}
    return set().union(*map(_atoms, condition[1:])) if len(condition) > 1 else set()


def _holds(condition, truth):
    if condition[0] == "is":
        return truth[condition]
    if condition[0] == "all":
        return all(_holds(part, truth) for part in condition[1:])
    if condition[0] == "any":
        return any(_holds(part, truth) for part in condition[1:])
    return not _holds(condition[1], truth)


_UNIX = {"linux", "macos", "android", "freebsd", "netbsd", "openbsd", "ios"}
_ONE_VALUE = ("target_os", "target_family", "target_arch", "target_env", "target_pointer_width")


def _possible(truth):
    """Says whether a target can have these facts together."""
    true = [(key, value) for (_, key, value), holds in truth.items() if holds]
    for key in _ONE_VALUE:
        if sum(1 for name, _ in true if name == key) > 1:
            return False
    systems = {value for key, value in true if key == "target_os"}
    unix = truth.get(("is", "unix", None))
    windows = truth.get(("is", "windows", None))
    if unix and (windows or "windows" in systems):
        return False
    if windows and systems - {"windows"}:
        return False
    if unix is False and systems & _UNIX:
        return False
    return not (windows is False and "windows" in systems)
