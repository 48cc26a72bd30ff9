"""Versions as Semantic Versioning 2.0.0 orders them, with what applications really write: ``v1.2`` is 1.2.0."""

import re

Version = tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_VERSION = re.compile(
    rf"[vV]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?"
    r"(?:-([0-9A-Za-z-]{1,64}(?:\.[0-9A-Za-z-]{1,64}){0,15}))?(?:\+[0-9A-Za-z.-]{1,256})?"
)


def version(text: str) -> Version | None:
    """A key that compares as precedence does (section 11); None where the text is no version.

    >>> version("1.2") == version("v1.2.0+build.5")
    True
    >>> version("1.0.0-rc.2") < version("1.0.0-rc.10") < version("1.0.0")
    True
    >>> version("1.02.0") is None
    True
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    identifiers = tuple(_identifier(part) for part in prerelease.split(".")) if prerelease else ()
    if None in identifiers:
        return None
    known = tuple(part for part in identifiers if part is not None)
    return int(major), int(minor or 0), int(patch or 0), not prerelease, known


def _identifier(part: str) -> tuple[int, int, str] | None:
    """Numbers order before words, and by value; a number with a leading zero is not allowed."""
    if not part.isdecimal():
        return 1, 0, part
    if part[0] == "0" and len(part) > 1:
        return None
    return 0, int(part), ""
