"""Regular expressions that mean the same in RE2, in JavaScript and here, and that cannot blow up.

A pattern is read by this module, not by `re`: what the engines disagree on (look-around, back references, inline
flags, POSIX and Unicode classes, ``\\b`` inside a class) is refused, and what they agree on is written out again
for `re`, with ``\\d \\w \\s`` in ASCII and ``$`` as the very end. `re` tries alternatives one after the other, so the
reader also bounds how many ways there are through the pattern, and refuses those that could take long.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from upshot_sdk.characters import Characters, both_cases, complement, meet, union

MAX_PATTERN = 500  # characters of a pattern
MAX_TEXT = 256  # characters of an attribute; a longer one does not match
MAX_STEPS = 8 * MAX_TEXT**2  # less than a millisecond
MAX_NESTING = 20
MAX_COUNT = 100  # in {n,m}

_DIGIT: Characters = ((48, 57),)
_WORD: Characters = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Characters = ((9, 10), (12, 13), (32, 32))
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CLASSES |= {letter.upper(): complement(characters) for letter, characters in _CLASSES.items()}
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_ANY = complement(((10, 10),))
_HUGE = 10**12  # where counting steps may end
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{1,4})?)?\}", re.ASCII)


class PatternError(ValueError):
    """A pattern is not in the common subset, or could take long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A part of a pattern.

    Attributes:
        written: the same for `re`.
        first: what it can begin with. nullable: it can match nothing. single: it is one character.
        shortest: characters it takes at least.
        cost: steps that trying it once may take on MAX_TEXT characters. ways: places where it may stop, from each
            of which `re` tries what follows.
        open_end, open_ways: what its last repeat takes, and the ways that this repeat causes: where what follows
            cannot begin with a character of ``open_end``, all stops but one fail at once.
        anchored: it can only begin the text. last: it can only end it.
    """

    written: str
    first: Characters = ()
    nullable: bool = False
    single: bool = False
    shortest: int = 0
    cost: int = 1
    ways: int = 1
    open_end: Characters = ()
    open_ways: int = 1
    anchored: bool = False
    last: bool = False


def compile_pattern(source: str, *, fold: bool = False) -> Callable[[str], bool]:
    """A search for the pattern anywhere in a text of at most MAX_TEXT characters.

    Args:
        source: the pattern. fold: ASCII letters match both their cases.

    Raises:
        PatternError: it is too long, not in the common subset, or could take long.

    >>> search = compile_pattern(r"^[a-z.]+@example\\.com$")
    >>> search("ada@example.com"), search("ada@example.com.evil.org")
    (True, False)
    >>> compile_pattern("(a+)+$")
    Traceback (most recent call last):
    upshot_sdk.pattern.PatternError: the pattern '(a+)+$' could take long ...
    """
    if len(source) > MAX_PATTERN:
        raise PatternError(f"the pattern has {len(source):,} characters: {MAX_PATTERN} are allowed")
    piece = _Reader(source, fold=fold).pattern()
    starts = 1 if piece.anchored else MAX_TEXT
    if starts * piece.cost > MAX_STEPS:
        shown = source if len(source) <= 60 else f"{source[:57]}..."
        raise PatternError(
            f"the pattern {shown!r} could take long on an unlucky text: "
            "begin it with ^, or leave out repeats that can match the same characters"
        )
    search = re.compile(piece.written, re.ASCII | (re.IGNORECASE if fold else 0)).search

    def found(text: str) -> bool:
        return len(text) <= MAX_TEXT and search(text) is not None

    return found


class _Reader:
    """Recursive descent over a pattern: alternatives, sequences, repeats, atoms."""

    def __init__(self, source: str, *, fold: bool) -> None:
        self._source = source
        self._fold = fold
        self._at = 0
        self._depth = 0

    def pattern(self) -> _Piece:
        piece = self._alternatives()
        if self._at < len(self._source):
            raise self._refused("a closing parenthesis without an opening one")
        return piece

    def _refused(self, what: str) -> PatternError:
        return PatternError(
            f"{what} at character {self._at + 1} is not in the subset that RE2 and others share"
        )

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise self._refused("an unfinished pattern")
        self._at += 1
        return character

    def _take(self, text: str) -> bool:
        if not self._source.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _alternatives(self) -> _Piece:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _either(branches)

    def _sequence(self) -> _Piece:
        pieces: list[_Piece] = []
        while self._peek() not in ("", "|", ")"):
            pieces.append(self._repeat())
        return _in_turn(pieces)

    def _repeat(self) -> _Piece:
        piece = self._atom()
        count = self._count()
        if count is None:
            return piece
        if not piece.first:
            raise self._refused("a repeat of something without characters")
        self._take("?")  # lazy or greedy: the same texts match
        if self._peek() in ("*", "+", "?", "{"):
            raise self._refused("a repeat of a repeat")
        return _repeated(piece, *count)

    def _count(self) -> tuple[int, int | None] | None:
        for sign, count in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return count
        if self._peek() != "{":
            return None
        match = _COUNT.match(self._source, self._at)
        if match is None:
            raise self._refused("an opening brace that begins no count (write \\{)")
        low = int(match[1])
        high = (int(match[3]) if match[3] else None) if match[2] else low
        if max(low, high or 0) > MAX_COUNT or (high is not None and high < low):
            raise self._refused(f"a count that is turned round or above {MAX_COUNT}")
        self._at = match.end()
        return low, high

    def _atom(self) -> _Piece:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._one_of(self._class())
        if character == "^":
            return _Piece(written="^", nullable=True, anchored=True)
        if character == "$":
            return _Piece(written=r"\Z", nullable=True, last=True)
        if character == ".":
            return self._one_of(_ANY)
        if character in "*+?{":
            self._at -= 1
            raise self._refused("a repeat of nothing")
        if character == "\\":
            return self._escaped()
        return self._one_of(((ord(character),) * 2,))

    def _group(self) -> _Piece:
        if not self._take("?:") and self._peek() == "?":
            raise self._refused("a group with flags, a name or look-around")
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise PatternError(f"groups are nested deeper than {MAX_NESTING}")
        piece = self._alternatives()
        if not self._take(")"):
            raise self._refused("an unfinished group")
        self._depth -= 1
        return replace(piece, written=f"(?:{piece.written})")

    def _escaped(self) -> _Piece:
        if self._peek() in ("b", "B"):
            return _Piece(written=f"\\{self._next()}", nullable=True)
        return self._one_of(self._escape())

    def _escape(self) -> Characters:
        """What follows a backslash, inside or outside of a class."""
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROL:
            return ((ord(_CONTROL[character]),) * 2,)
        if character.isascii() and not character.isalnum() and character.isprintable():
            return ((ord(character),) * 2,)
        self._at -= 1
        raise self._refused(f"the escape \\{character}")

    def _class(self) -> Characters:
        negated = self._take("^")
        found: Characters = ()
        while not self._take("]"):
            found = union(found, self._range())
        if not found:
            raise self._refused("an empty class")
        if self._fold:
            found = both_cases(found)  # before it is turned round: [^a] is neither a nor A
        return complement(found) if negated else found

    def _range(self) -> Characters:
        low = self._class_atom()
        if self._peek() != "-" or self._source.startswith("-]", self._at):
            return low
        self._at += 1
        high = self._class_atom()
        if len(low) > 1 or len(high) > 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
            raise self._refused("a range between classes")
        if high[0][0] < low[0][0]:
            raise self._refused("a range that is turned round")
        return ((low[0][0], high[0][0]),)

    def _class_atom(self) -> Characters:
        character = self._next()
        if character == "[":
            raise self._refused("an opening bracket in a class (write \\[)")
        if character == "\\":
            return self._escape()
        return ((ord(character),) * 2,)

    def _one_of(self, characters: Characters) -> _Piece:
        if self._fold:
            characters = both_cases(characters)
        if not characters:
            raise self._refused("a class without characters")
        return _Piece(written=_written(characters), first=characters, single=True, shortest=1)


def _written(characters: Characters) -> str:
    """The class for `re`, each code point by number: no character in it can have a meaning of its own."""
    if len(characters) == 1 and characters[0][0] == characters[0][1]:
        return re.escape(chr(characters[0][0]))
    if characters == _ANY:
        return "."
    return "[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in characters) + "]"


def _either(branches: list[_Piece]) -> _Piece:
    """Alternatives: where each begins with other characters, only one can be tried."""
    apart = not any(branch.nullable for branch in branches) and not any(
        meet(a.first, b.first) for index, a in enumerate(branches) for b in branches[:index]
    )
    return _Piece(
        written="|".join(branch.written for branch in branches),
        first=union(*(branch.first for branch in branches)),
        nullable=any(branch.nullable for branch in branches),
        shortest=min(branch.shortest for branch in branches),
        cost=sum(branch.cost for branch in branches),
        ways=(max if apart else sum)(branch.ways for branch in branches),
        anchored=all(branch.anchored for branch in branches),
    )


def _in_turn(pieces: list[_Piece]) -> _Piece:
    """A sequence: each piece is tried from every place where those before it may stop."""
    if len(pieces) == 1:
        return pieces[0]
    cost, arrivals = 1, 1
    first: Characters = ()
    nullable = True
    for index, piece in enumerate(pieces):
        cost = min(cost + arrivals * piece.cost, _HUGE)
        arrivals = min(arrivals * _stops(piece, pieces[index + 1 :]), _HUGE)
        first = union(first, piece.first) if nullable else first
        nullable = nullable and piece.nullable
    return _Piece(
        written="".join(piece.written for piece in pieces),
        first=first,
        nullable=nullable,
        shortest=sum(piece.shortest for piece in pieces),
        cost=cost,
        ways=arrivals,
        open_end=pieces[-1].open_end if pieces else (),
        open_ways=pieces[-1].open_ways if pieces else 1,
        anchored=bool(pieces) and pieces[0].anchored,
    )


def _stops(piece: _Piece, following: list[_Piece]) -> int:
    """Places where a piece may stop and what follows may go on."""
    for next_piece in following:
        if meet(piece.open_end, next_piece.first):
            return piece.ways
        if not next_piece.nullable or next_piece.last:
            return piece.ways // piece.open_ways
    return piece.ways


def _repeated(piece: _Piece, low: int, high: int | None) -> _Piece:
    if piece.nullable:
        raise PatternError(
            "a repeat of what can be nothing could take long: leave one of the two repeats out"
        )
    most = min(MAX_TEXT // piece.shortest, MAX_TEXT if high is None else high)
    again = _stops(piece, [piece])  # between two rounds, the piece itself is what follows
    rounds = most if again == 1 else min((again**most - 1) // (again - 1), _HUGE)
    stops = max(most - low, 0) + 1
    return _Piece(
        written=f"{piece.written}{{{low},{'' if high is None else high}}}",
        first=piece.first,
        nullable=low == 0,
        shortest=piece.shortest * low,
        cost=min(1 + rounds * piece.cost, _HUGE),
        ways=min(stops * (again ** max(most - 1, 0)) * piece.ways, _HUGE),
        open_end=union(piece.first, piece.open_end),
        open_ways=min(stops * piece.open_ways, _HUGE),
    )
