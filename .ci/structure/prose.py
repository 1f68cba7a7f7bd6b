"""Checks comments and the names of tests, and the length of files."""

import re

MOST_LINES = 400
MOST_COLUMNS = 100
MOST_SHARE = 0.05
MOST_TEST_NAME = 60
# The directories whose comments count.
DIRECTORIES = ("src/", "breaker/", "harness/", "chaos_tests/", "benches/")

_COMMENT = re.compile(r"^\s*//")
_EMPTY = re.compile(r"^\s*//[/!]?\s*$")
_RELATIVE = re.compile(r"\b(what|whatever|who|whoever)\b", re.IGNORECASE)


def long_files(repository):
    for name in repository.rust_files():
        lines = repository.text(name).count("\n")
        if lines > MOST_LINES:
            yield f"{name}: {lines} lines, {lines - MOST_LINES} too many"


def comments(repository, files=None):
    """Gives `(file, number, line)` of each comment line that says something."""
    if files is None:
        files = [name for name in repository.files if name.startswith(DIRECTORIES)]
    for name in files:
        for number, line in enumerate((repository.text(name) or "").split("\n"), 1):
            if _COMMENT.match(line) and not _EMPTY.match(line):
                yield name, number, line


def long_comments(lines):
    for name, number, line in lines:
        if len(line) > MOST_COLUMNS:
            yield f"{name}:{number}: comment of {len(line)} columns"


def relatives(lines):
    """Gives the comment lines with a free relative, or with the words that make one."""
    return [each for each in lines if _RELATIVE.search(each[2])]


def long_test_names(repository, sources, files=None):
    for name in repository.rust_files() if files is None else files:
        source = sources.get(name)
        for test in source.tests if source else ():
            if len(test.name) > MOST_TEST_NAME:
                yield f"{name}:{test.line}: test name of {len(test.name)} characters: {test.name}"
