"""Text of a submission made harmless: what a server or a file says does nothing but stand there.

No control character reaches a terminal, no command a CI runner; the text is cut for reading, and says where.
"""

from __future__ import annotations

import re
import unicodedata

LINES = 24  # of one text that a report shows
WIDTH = 400  # characters of one line of it

# `##[error]` and `##vso[…]` of Azure, `##teamcity[…]`: they act anywhere in a line.
_COMMAND = re.compile(r"#(?=#(?:vso|teamcity)?\[)")
# `::error::` of GitHub: at the beginning of a line, blanks left out.
_COLONS = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)


def clean(text: str) -> str:
    """Text that does nothing but stand there: control and format characters (also those that turn the direction of
    writing) as \\xHH or \\uHHHH, and the # that begins a CI runner's command, too; line feeds and tabs stay.
    What may begin a line goes through `alone`."""
    text = _COMMAND.sub(r"\\x23", text)
    if text.isprintable():  # nearly all text is, and is asked so at once
        return text
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
        for character in text
    )


def alone(text: str) -> str:
    """The same for text that may begin a line of what is printed: there two colons are GitHub's command."""
    return _COLONS.sub(r"\1\\x3a", clean(text))


def cut(text: str, lines: int = LINES, width: int = WIDTH) -> list[str]:
    """The lines of `text`, cleaned, so many that a person reads them; says where something is left out. What is left
    out is not looked at: gigabytes cost nothing."""
    text = text.strip("\n")
    count = text.count("\n") + 1
    if count > lines + 1:  # saying so takes a line, too
        half = lines // 2
        begin, end = text.split("\n", half)[:half], text.rsplit("\n", half)[-half:]
        found = [*begin, f"[… {count - 2 * half} lines left out …]", *end]
    else:
        found = text.split("\n")
    return [_cut_line(one, width) for one in found]


def line(text: str, width: int = WIDTH) -> str:
    """The first line of `text`, cleaned and cut; says where there are more."""
    first, more, _ = text.strip("\n").partition("\n")
    return _cut_line(first, width) + (" […]" if more else "")


def _cut_line(text: str, width: int) -> str:
    # The blank keeps our bracket apart from a `##` of the text's.
    return clean(text) if len(text) <= width else f"{clean(text[:width])} [… {len(text) - width} more]"
