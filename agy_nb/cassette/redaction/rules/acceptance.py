"""Whether the text beside a secret's name is the secret, by the place where it was found.

`contexts` finds the text. A place where people write secrets, such as a line of an `.env` file,
needs less proof than a sentence or a program.
"""

from __future__ import annotations

import re

from agy_nb.cassette.redaction.rules import value_shapes
from agy_nb.cassette.redaction.rules.field_names import Strength, strength


def accepts(found: str, power: Strength, *, quoted: bool) -> bool:
    """Return whether a text after a name is a secret.

    Args:
        found: The text.
        power: What the name says about it.
        quoted: Whether it is in quotes, so that words may be a password.
    """
    found = found[:400]  # a secret shows by then, and a text of megabytes takes too long
    if power == Strength.WEAK:
        return (
            len(found) >= 12
            and value_shapes.is_random(found)
            and not value_shapes.is_known_form(found)
        )
    if value_shapes.is_random(found) and not (quoted and power == Strength.PASSWORD):
        return not value_shapes.is_digest_or_date(found)
    if not quoted:
        if len(found) < 6 or value_shapes.is_placeholder(found):
            return False
        return value_shapes.is_mixed(found) and not value_shapes.is_known_form(found)
    if power == Strength.PASSWORD:
        return value_shapes.is_chosen(found)
    return len(found) >= 6 and value_shapes.is_mixed(found) and not value_shapes.is_prose(found)


def accepts_in_query(found: str, power: Strength) -> bool:
    """Return whether a value in the query of a URL is a secret."""
    if len(found) < 6:
        return False
    if value_shapes.is_random(found) and len(found) >= 12:
        return True
    if power is Strength.PASSWORD and not value_shapes.is_placeholder(found):
        return True
    return power > Strength.WEAK and value_shapes.is_mixed(found)


def accepts_in_environment(found: str, power: Strength) -> bool:
    """Return whether a variable's value is a secret, in a line such as `export DB_PASS=...`."""
    if accepts(found, power, quoted=False):
        return True
    if len(found) >= 8 and found.isalpha() and not value_shapes.is_placeholder(found):
        return True
    return power == Strength.PASSWORD and value_shapes.is_simple_password(found)


def accepts_alone(found: str, power: Strength) -> bool:
    """Return whether a text without quotes that ends its line is a password."""
    if power != Strength.PASSWORD:
        return False
    return value_shapes.is_simple_password(found) or (found.isalpha() and len(found) >= 15)


def accepts_in_sentence(found: str, power: Strength, *, has_verb: bool) -> bool:
    """Return whether a word of a sentence is a secret.

    Args:
        found: The word.
        power: What the name before it says about it.
        has_verb: Whether a word such as `is` is between them.
    """
    if len(found) < (6 if has_verb else 8):
        return False
    if is_expression(found, line=False) or value_shapes.is_known_form(found):
        return False
    if power is Strength.WEAK:
        plain = len(found) >= 20 and found.isalnum() and value_shapes.is_simple_password(found)
        return plain and value_shapes.is_random(found)
    if value_shapes.is_random(found):
        return True
    chosen = has_verb and power == Strength.PASSWORD and any(map(str.isdigit, found))
    return chosen and value_shapes.is_mixed(found)


def accepts_option(found: str, power: Strength, *, quoted: bool) -> bool:
    """Return whether the value of an option of a command, such as `--password`, is a secret."""
    if quoted:
        return accepts(found, power, quoted=True)
    return accepts(found, power, quoted=False) and not is_expression(found, line=True)


def is_expression(found: str, *, line: bool) -> bool:
    """Return whether a value without quotes is a piece of a program.

    Args:
        found: The value, which is not empty.
        line: Whether it is in a line of its own, where a password may begin with any character.
    """
    if (
        value_shapes.CALL.search(found)
        or found[0] in "([{$%<*&!@\\|"
        or strength(found) > Strength.WEAK
    ):
        return not (line and _may_be_password(found))
    if value_shapes.IDENTIFIER.fullmatch(found) and (
        "." in found or "::" in found or "->" in found
    ):
        return not any(value_shapes.is_random(part) for part in re.split(r"\.|::|->", found))
    return False


def _may_be_password(found: str) -> bool:
    return (
        found[0] in "$%*&!@"
        and len(found) >= 8
        and "{" not in found
        and "(" not in found
        and any(map(str.isdigit, found))
    )
