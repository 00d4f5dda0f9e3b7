"""Numbers in words: how a number, a year, a time or a sum of money is said (English).

A number can be said in several ways. The first is the plainest, which texts are spelled out with;
forced alignment tries them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
LARGEST = 10**12
"""Numbers from here on are read digit by digit."""
MAX_WAYS = 48
"""Ways to say one written thing that are looked at."""
MONTHS = (
    "january february march april may june july august september october november december"
).split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
             "nine": "ninth", "twelve": "twelfth"}
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}


def spell_number(number: int | float) -> str:
    """Return a number in words, in its plainest form.

    >>> spell_number(2705), spell_number(-21), spell_number(0.5)
    ('two thousand seven hundred five', 'minus twenty one', 'zero point five')
    """
    if number < 0:
        return "minus " + spell_number(-number)
    whole, dot, decimals = format(number, ".10f").rstrip("0").partition(".")
    words = cardinal(int(whole))
    if decimals:
        words += " point " + " ".join(ONES[int(d)] for d in decimals)
    return words


@lru_cache(maxsize=65536)
def number_forms(number: int | float) -> tuple[str, ...]:
    """Return all spoken forms of a number, the plainest first.

    >>> number_forms(105)
    ('one hundred five', 'one hundred and five', 'a hundred five', 'a hundred and five')
    >>> number_forms(1700), number_forms(2.5)[1]
    (('one thousand seven hundred', 'a thousand seven hundred', 'seventeen hundred'), 'two and a half')
    """  # noqa: E501
    if number < 0:
        positive = number_forms(-number)
        return tuple(f"{sign} {form}" for sign in ("minus", "negative") for form in positive)
    plain = spell_number(number)
    forms = [plain]
    whole = int(number)
    if number == whole:
        if whole % 100 and " hundred " in plain:
            head, _, tail = plain.rpartition(" hundred ")
            forms.append(f"{head} hundred and {tail}")
        elif 0 < whole % 1000 < 100 and " thousand " in plain:
            forms.append(plain.replace(" thousand ", " thousand and "))
    elif number - whole == 0.5:
        forms += [f"{form} and a half" for form in (number_forms(whole) if whole else ())]
        forms += ["a half", "half"] if whole == 0 else []
    forms += ["a" + form[3:] for form in forms if form.startswith(("one hundred", "one thousand"))]
    if number == whole and 1000 < whole < 10_000 and whole % 100 == 0 and whole % 1000:
        forms.append(f"{cardinal(whole // 100)} hundred")
    return tuple(dict.fromkeys(forms))


@lru_cache(maxsize=65536)
def cardinal(number: int) -> str:
    """Return a whole number from 0 to below `LARGEST` in words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f" {ONES[ones]}" if ones else "")
    for scale, name in SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return f"{cardinal(count)} {name}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError("unreachable: the scales end at a hundred")

def ordinal_forms(number: int) -> tuple[str, ...]:
    """Return all spoken forms of an ordinal, the plainest first.

    >>> ordinal_forms(2), ordinal_forms(40), ordinal_forms(121)[:2]
    (('second',), ('fortieth',), ('one hundred twenty first', 'one hundred and twenty first'))
    """
    split = (form.rpartition(" ") for form in number_forms(number))
    return tuple(dict.fromkeys(before + blank + _ordinal(last) for before, blank, last in split))


def _ordinal(word: str) -> str:
    return _ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")


def digit_forms(digits: str) -> tuple[str, ...]:
    """Return how a row of digits is said one by one.

    >>> digit_forms("007")
    ('zero zero seven', 'oh oh seven')
    """
    plain = " ".join(ONES[int(digit)] for digit in digits)
    return tuple(dict.fromkeys((plain, plain.replace("zero", "oh"))))


def year_forms(year: int) -> tuple[str, ...]:
    """Return all spoken forms of a year from 1100 to 2099, the commonest first.

    >>> year_forms(1999)[0], year_forms(1905)[0], year_forms(2005)[0], year_forms(2024)[0]
    ('nineteen ninety nine', 'nineteen oh five', 'two thousand five', 'twenty twenty four')
    >>> year_forms(1900)[0], year_forms(2000)[0]
    ('nineteen hundred', 'two thousand')
    """
    century, rest = divmod(year, 100)
    pairs = [f"{cardinal(century)} {cardinal(rest)}"]
    if rest == 0:
        pairs = [f"{cardinal(century)} hundred"]
    elif rest < 10:
        pairs = [f"{cardinal(century)} oh {cardinal(rest)}"]
    whole = list(number_forms(year))
    both = [*whole, *pairs] if 2000 <= year < 2010 else [*pairs, *whole]
    if rest:
        both.append(f"{cardinal(century)} hundred and {cardinal(rest)}")
    return tuple(dict.fromkeys(both))


def time_forms(hour: int, minute: int, second: int | None = None, half: str = "") -> list[str]:
    """Return all spoken forms of a time of day; `half` is "a m", "p m" or empty.

    >>> time_forms(10, 30)[:2], time_forms(10, 5)[0], time_forms(9, 0)[0]
    (['ten thirty', 'half past ten'], 'ten oh five', "nine o'clock")
    """
    hours, after = cardinal(hour), cardinal(hour % 12 + 1)
    minutes = cardinal(minute) if minute > 9 else f"oh {cardinal(minute)}"
    if minute == 0:
        whole = [hours] if half else [f"{hours} o'clock", hours]
        plain = whole if 0 < hour <= 12 else [f"{hours} hundred", *whole]
    else:
        plain = [f"{hours} {minutes}", *quarters(hours, after, minute)]
        plain += [f"{hours} zero {cardinal(minute)}"] if minute < 10 else []
    if second is not None:
        seconds = cardinal(second) if second > 9 else f"oh {cardinal(second)}"
        minutes = "zero zero" if minute == 0 else minutes
        plain = [f"{hours} {minutes} {seconds}"]
    return [f"{form} {half}".rstrip() for form in plain]


def quarters(hour: str, after: str, minute: int) -> list[str]:
    """Return how a time is said by the hour that is nearer: "half past ten"."""
    if minute == 30:
        return [f"half past {hour}", f"half {hour}"]
    if minute == 15:
        return [f"{a}quarter {word} {hour}" for a in ("", "a ") for word in ("past", "after")]
    if minute == 45:
        return [f"{a}quarter {word} {after}" for a in ("", "a ") for word in ("to", "of")]
    if minute % 5 == 0:
        to, of = (minute, hour) if minute < 30 else (60 - minute, after)
        words = ("past", "after") if minute < 30 else ("to", "of")
        return [f"{cardinal(to)} {word} {of}" for word in words]
    return []


def money_forms(sign: str, whole: str, decimals: str, scale: str) -> list[str]:
    """Return all spoken forms of a sum: its sign, its digits, and "million" or the like.

    >>> money_forms("£", "5", "", ""), money_forms("$", "3", "50", "")[0]
    (['five pounds', 'five pound'], 'three dollars fifty')
    >>> money_forms("€", "1", "5", "billion")[0]
    'one point five billion euros'
    """
    one, many, small, smalls = _CURRENCIES[sign]
    amount = int(whole or "0")
    if scale:
        number = float(f"{amount}.{decimals or 0}")
        return [f"{form} {scale} {name}" for form in number_forms(number) for name in (many, one)]
    units = many if amount != 1 else one
    forms = [f"{form} {units}" for form in whole_forms(whole)]
    if amount != 1 and one != many:
        forms.append(f"{cardinal(amount)} {one}" if amount < LARGEST else forms[0])
    if len(decimals) != 2:
        rest = f" point {digit_forms(decimals)[0]}" if decimals else ""
        return [f"{form}{rest} {units}" for form in whole_forms(whole)] if rest else forms
    cents = int(decimals)
    if not cents:
        return forms
    coins = f"{cardinal(cents)} {small if cents == 1 else smalls}"
    if not amount:
        return [coins]
    return [*(f"{form} {cardinal(cents)}" for form in forms),
            *(f"{form}{link}{coins}" for form in forms for link in (" ", " and ")),
            f"{cardinal(amount)} {cardinal(cents)}"]  # fmt: skip


def whole_forms(digits: str) -> tuple[str, ...]:
    """Return all spoken forms of a row of digits as a number; with a zero first, as digits.

    >>> whole_forms("21"), whole_forms("05")
    (('twenty one',), ('zero five', 'oh five'))
    """
    if len(digits) > 1 and digits[0] == "0" or len(digits) >= len(str(LARGEST)):
        return digit_forms(digits)
    return number_forms(int(digits))


def each_way(*parts: Iterable[str]) -> list[str]:
    """Return all ways to say several parts one after another, `MAX_WAYS` at most.

    >>> each_way(["a", "one"], ["half"])
    ['a half', 'one half']
    """
    ways = itertools.islice(itertools.product(*parts), MAX_WAYS)
    return list(dict.fromkeys(" ".join(filter(None, way)) for way in ways))
