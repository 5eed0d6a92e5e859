r"""Text that came from data, made safe to show to people.

Ids, field values and what others said can hold anything: escape sequences that move a terminal's cursor or set its
title, C1 controls, bidirectional overrides that show a line in another order, line breaks that forge a line of a log.
Whatever Python does not call printable is shown as Python writes it in a string: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations


def printable(text: str, *, keep: str = "") -> str:
    r"""Return the text with what is not printable escaped, but for the characters to keep.

    >>> printable("a\x1b[2Jb\n\u202e"), printable("two\nlines", keep="\n")
    ('a\\x1b[2Jb\\n\\u202e', 'two\nlines')
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
