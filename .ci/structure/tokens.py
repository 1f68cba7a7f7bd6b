"""Cuts Rust source into tokens; comments and white space are dropped."""

import re

# In order: the first alternative that matches wins. `'a'` is tried before `'a`, raw strings before
# identifiers, and `r#"` before `r#name`.
_TOKEN = re.compile(
    r"""
      (?P<newline>\n)
    | (?P<space>[ \t\r\f]+)
    | (?P<line_comment>//[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<raw>(?:b|c)?r(?P<hashes>\#*)"(?P<raw_text>.*?)"(?P=hashes))
    | (?P<string>[bc]?"(?P<string_text>(?:[^"\\]|\\.)*)")
    | (?P<char>b?'(?:[^'\\\n]|\\(?:u\{[0-9a-fA-F_]*\}|x[0-9a-fA-F]{2}|.))')
    | (?P<lifetime>'[^\W\d]\w*)
    | (?P<word>(?:r\#)?[^\W\d]\w*)
    | (?P<number>\d(?:\w|\.(?=\d)|(?<=[eE])[+-](?=\d))*)
    | (?P<punctuation>::|->|=>|\.\.[.=]?|!=|==|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Tokens:
    """The tokens of one file: `text[i]` stands on `line[i]`.

    A string literal is normalised to a double quote and its contents, without the closing quote, so
    that no identifier and no punctuation looks like it. A character literal is `'`.
    """

    def __init__(self, source):
        self.text = []
        self.line = []
        line = 1
        at = 0
        match_at = _TOKEN.match
        while at < len(source):
            match = match_at(source, at)
            kind = match.lastgroup
            at = match.end()
            if kind == "newline":
                line += 1
                continue
            if kind in ("space", "line_comment"):
                continue
            if kind == "block_comment":
                end = _end_of_comment(source, at)
                line += source.count("\n", at, end)
                at = end
                continue
            self.line.append(line)
            if kind == "raw":
                self.text.append('"' + match["raw_text"])
                line += match[0].count("\n")
            elif kind == "string":
                self.text.append('"' + match["string_text"])
                line += match[0].count("\n")
            elif kind == "char":
                self.text.append("'")
            else:
                self.text.append(match[0])

    def __len__(self):
        return len(self.text)


def is_word(text):
    """Says whether a token is an identifier or a keyword."""
    return text[0].isalpha() or text[0] == "_"


def _end_of_comment(source, at):
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(source, at)
        if edge is None:
            return len(source)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
