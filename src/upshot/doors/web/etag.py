"""Entity tags: names for one state of an answer."""


def quoted(tag: str) -> str:
    """A strong tag as a header writes it."""
    return f'"{tag}"'


def matches(header: str | None, *tags: str) -> bool:
    """Whether an If-None-Match header names one of the tags, compared weakly as RFC 9110, 13.1.2 has it.

    >>> matches('W/"a", "b"', "a"), matches("*", "a"), matches('"ab"', "a"), matches(None, "a")
    (True, True, False, False)
    """
    if header is None:
        return False
    named = {part.strip().removeprefix("W/") for part in header.split(",")}
    return "*" in named or any(quoted(tag) in named for tag in tags)
