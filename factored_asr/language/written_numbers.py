"""Numerals as people write them: patterns that find them, and the words for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from factored_asr.language.numerals import (
    LARGEST,
    MONTHS,
    digit_forms,
    each_way,
    money_forms,
    number_forms,
    ordinal_forms,
    spell_number,
    time_forms,
    whole_forms,
    year_forms,
)
from factored_asr.language.written_words import SQUARED

Ways = Sequence[str]
"""Ways to say a written word, the plainest first."""

_WHOLE = r"(?:\d{1,3}(?:[,\u00a0\u2009\u202f]\d{3})+(?!\d)|\d+)"
_COMMA = r"(?:(?<!\d[,.]\d)(?<!\d[,.]\d\d)(?<!\d[,.]\d\d\d),\d{1,2}(?![\d,.]?\d))"
"""A decimal comma with its digits: no list such as "1,2,3", no group of three digits."""
_NUMBER = rf"(?:{_WHOLE}(?:\.\d+|{_COMMA})?|(?<![\w.])\.\d+)"
_GLYPHS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5),
           "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8),
           "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8)}  # fmt: skip
_SIZES = {"k": "thousand", "thousand": "thousand", "m": "million", "mn": "million",
          "million": "million", "b": "billion", "bn": "billion", "billion": "billion",
          "tn": "trillion", "trillion": "trillion"}  # fmt: skip
_UNITS = {
    "%": ("percent", "percent"), "°c": ("degree celsius", "degrees celsius"),
    "°f": ("degree fahrenheit", "degrees fahrenheit"), "°": ("degree", "degrees"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "m/s": ("meter per second", "meters per second"),
    f"km{SQUARED}": ("square kilometer", "square kilometers"),
    f"m{SQUARED}": ("square meter", "square meters"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"), "ml": ("milliliter", "milliliters"),
    "lbs": ("pound", "pounds"), "lb": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"), "sq": ("square", "square"), "khz": ("kilohertz", "kilohertz"),
    "mhz": ("megahertz", "megahertz"), "ghz": ("gigahertz", "gigahertz"),
    "hz": ("hertz", "hertz"), "kb": ("kilobyte", "kilobytes"), "mb": ("megabyte", "megabytes"),
    "gb": ("gigabyte", "gigabytes"), "tb": ("terabyte", "terabytes"),
    "kwh": ("kilowatt hour", "kilowatt hours"), "kw": ("kilowatt", "kilowatts"),
    "ms": ("millisecond", "milliseconds"), "db": ("decibel", "decibels"),
    "hrs": ("hour", "hours"), "hr": ("hour", "hours"), "mins": ("minute", "minutes"),
    "min": ("minute", "minutes"), "secs": ("second", "seconds"), "sec": ("second", "seconds"),
}
_MONTH = "(?:" + "|".join(MONTHS).title() + ")"
_MONTH_BEFORE = re.compile(rf"(?<![^\W_]){_MONTH}\s$")
_MONTH_AFTER = re.compile(rf"\s{_MONTH}(?!\w)")
_LONG = re.compile(r"(?<![\d.])\d{16}|\d{1,3}(?:,\d{3}){5}")
_AM_PM = r"(?:\s?[ap]\.?m\b\.?)"
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))

PARTS: dict[str, tuple[str, str]] = {
    "money": ("money", rf"(?:US|A|C|NZ)?(?P<sign>[$£€¥₹])\s?(?P<sum>{_NUMBER})"
              r"(?:\s?(?P<size>k|mn?|bn?|tn|thousand|million|billion|trillion)\b)?"
              rf"|(?P<sum_after>{_NUMBER})\s?(?P<sign_after>[$£€¥₹])(?!\s?\d)"
              r"|(?<![\w.])(?P<coins>\d{1,2})(?P<coin>p\b|¢)"),
    "phone": ("ranges", r"(?<![\w-])\+?(?:\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])?\d{3}[-.]\d{4}"
              r"(?![\w-])|(?<!\w)\+\d[\d ]{6,18}\d(?!\w)"),
    "date": ("times", r"(?<![\w-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])"),
    "time": ("times", rf"(?<![\w:.,])(?:(?P<hour>[01]?\d|2[0-4])(?::(?P<minute>[0-5]\d)"
             rf"(?::(?P<second>[0-5]\d))?(?![\d:])|\.(?P<dot_minute>[0-5]\d)(?={_AM_PM}))"
             rf"(?P<half>{_AM_PM}?)|(?P<bare_hour>0?[1-9]|1[0-2])(?P<bare_half>{_AM_PM}))"),
    "decade": ("years", r"(?<!\w)'?(?P<tens>(?:1[1-9]|20)?\d0)'?s\b|(?<!\w)'(?P<short_year>\d\d)"
               r"(?!\w)"),
    "ordinal": ("ordinals", rf"(?<![\w.])(?P<rank>{_WHOLE})(?:st|nd|rd|th)\b"),
    "fraction": ("numbers", rf"(?P<part_of>{_WHOLE}\s?)?(?P<glyph>[{''.join(_GLYPHS)}])"
                 r"|(?<![\d/.])(?P<with_part>\d+\s)?(?P<over>\d)/(?P<under>[2-9]|10|16)(?![\d/])"),
    "range": ("ranges", rf"(?<![\w.-])(?P<low>{_NUMBER})\s?-\s?(?P<high>{_NUMBER})(?![\w-])"),
    "number": ("numbers", r"(?P<minus>(?<![\w)])-(?=\.?\d))?(?=\d|(?<![\w.])\.\d)"
               rf"(?P<digits>{_WHOLE})?(?P<decimals>\.\d+|{_COMMA})?UNIT"),
}
"""Name → the rule that switches it, and its pattern."""


def number_patterns(switched_on: Callable[[str], bool]) -> dict[str, str]:
    """Return the patterns of the numerals whose rule is in use."""
    found = {name: part for name, (switch, part) in PARTS.items() if switched_on(switch)}
    unit = rf"(?:\s?(?P<unit>{_UNIT})(?![\w{SQUARED}]))?" if switched_on("units") else ""
    return {name: part.replace("UNIT", unit) for name, part in found.items()}


@dataclass(frozen=True)
class NumberReader:
    """Reads what `PARTS` finds; `years`: numbers from 1100 to 2099 may be years."""

    years: bool = True

    def read(self, kind: str, match: re.Match[str]) -> Ways | None:
        """Return the ways to say a match; None if it is not what it looks like."""
        if _LONG.search(match[0]):  # no number that anyone would say as one
            return digit_forms("".join(re.findall(r"\d", _ascii(match[0]))))
        ways: Ways | None = getattr(self, f"_{kind}")(match)
        return ways and tuple(dict.fromkeys(ways))

    def whole(self, digits: str) -> Ways:
        """Return the ways to say a row of digits."""
        digits = _ascii(digits)
        if "," in digits or not (self.years and _is_year(digits)):
            plain = digits.replace(",", "")
            ways = whole_forms(plain)
            return (*ways, *digit_forms(plain)) if 2 < len(plain) < 9 else ways
        return (*year_forms(int(digits)), *digit_forms(digits))

    def decimal(self, number: str) -> Ways:
        """Return the ways to say digits with or without a decimal point."""
        whole, point, decimals = _with_point(_ascii(number)).partition(".")
        if not point:
            return self.whole(whole)
        ways = whole_forms(whole.replace(",", "")) if whole else ("", "zero")
        said = each_way(ways, ["point"], digit_forms(decimals))
        if decimals == "5" and len(whole) < 10 and whole:
            said += number_forms(int(whole.replace(",", "")) + 0.5)[1:]
        return said

    def _number(self, match: re.Match[str]) -> Ways | None:
        whole, decimals = match["digits"] or "", (match["decimals"] or "").replace(",", ".")
        unit = (match.groupdict().get("unit") or "").lower()
        signs = ["minus", "negative"] if match["minus"] else [""]
        if self.years and _is_day(match, whole + decimals):
            days = ordinal_forms(int(whole))
            return [*days, *(f"the {day}" for day in days), *number_forms(int(whole))]
        if match["minus"] or unit:
            value = NumberReader(years=False).decimal(whole + decimals)
        else:
            value = self.decimal(whole + decimals)
        one = _UNITS[unit][_ascii(whole) != "1" or bool(decimals)] if unit else ""
        return each_way(signs, value, [one])

    def _money(self, match: re.Match[str]) -> Ways | None:
        if match["coins"]:
            one = match["coins"] == "1"
            names = ["penny" if one else "pence", "p"]
            if match["coin"] == "¢":
                names = ["cent" if one else "cents"]
            return each_way(whole_forms(_ascii(match["coins"])), names)
        number = _with_point(_ascii(match["sum"] or match["sum_after"])).replace(",", "")
        whole, _, decimals = number.partition(".")
        whole = whole or "0"
        size = _SIZES.get((match["size"] or "").lower(), "")
        return money_forms(match["sign"] or match["sign_after"], whole, decimals, size)

    def _phone(self, match: re.Match[str]) -> Ways:
        plus = "plus " if match[0].startswith("+") else ""
        return [plus + way for way in digit_forms("".join(re.findall(r"\d", _ascii(match[0]))))]

    def _date(self, match: re.Match[str]) -> Ways | None:
        year, month, day = (int(match[name]) for name in ("year", "month", "day"))
        if not (1 <= month <= 12 and 1 <= day <= 31 and 1100 <= year < 2100):
            return None
        name, days, years = MONTHS[month - 1], ordinal_forms(day), year_forms(year)[:3]
        return [*each_way([name], ["", "the"], days, years),
                *each_way(["", "the"], days, ["of", ""], [name], years)]

    def _time(self, match: re.Match[str]) -> Ways:
        half = (match["half"] or match["bare_half"] or "").strip().lower()
        said = f"{half[0]} m" if half else ""
        hour = int(match["hour"] or match["bare_hour"])
        minute = match["minute"] or match["dot_minute"] or "0"
        second = int(match["second"]) if match["second"] else None
        return time_forms(hour, int(minute), second, said)

    def _decade(self, match: re.Match[str]) -> Ways | None:
        if match["short_year"]:
            return whole_forms(_ascii(match["short_year"]))
        digits = _ascii(match["tens"])
        ways = year_forms(int(digits)) if len(digits) == 4 else number_forms(int(digits))
        return [f"{way[:-1]}ies" if way.endswith("y") else f"{way}s" for way in ways]

    def _ordinal(self, match: re.Match[str]) -> Ways:
        digits = _ascii(match["rank"]).replace(",", "")
        if int(digits) >= LARGEST:
            return digit_forms(digits)
        return ordinal_forms(int(digits))

    def _fraction(self, match: re.Match[str]) -> Ways | None:
        if match["glyph"]:
            over, under = _GLYPHS[match["glyph"]]
        else:
            over, under = int(match["over"]), int(match["under"])
        before = _ascii((match["part_of"] or match["with_part"] or "").strip()).replace(",", "")
        if not 0 < over < under or int(before or 0) >= LARGEST:
            return None
        part = _fraction_forms(over, under)
        if not before:
            return part
        joined = [f"a {x}" if x == "half" else x for x in part]
        return each_way(number_forms(int(before)), ["and"], joined)

    def _range(self, match: re.Match[str]) -> Ways:
        low, high = self.decimal(match["low"]), self.decimal(match["high"])
        return each_way(low[:3], ["to", "", "and"], high[:3])


def _fraction_forms(over: int, under: int) -> list[str]:
    if (over, under) == (1, 2):
        return ["half", "a half", "one half"]
    names = {2: ["half"], 4: ["quarter", "fourth"]}.get(under, [ordinal_forms(under)[0]])
    if over == 1:
        return [f"{one} {name}" for name in names for one in ("one", "a")]
    return [f"{spell_number(over)} {name}s" for name in names]


def _is_day(match: re.Match[str], number: str) -> bool:
    """Say whether a number from 1 to 31 stands next to the name of a month."""
    if not re.fullmatch("[1-9]|[12][0-9]|3[01]", number):
        return False
    text, start, end = match.string, match.start(), match.end()
    return bool(_MONTH_BEFORE.search(text[max(0, start - 12) : start])
                or _MONTH_AFTER.match(text[end : end + 12]))


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and 1100 <= int(digits) < 2100


def _ascii(digits: str) -> str:
    """Return digits of any script as plain ones, groups of them with commas."""
    if digits.isascii():
        return digits
    return "".join(str(int(c)) if c.isdecimal() else "," if c.isspace() else c for c in digits)


def _with_point(number: str) -> str:
    """Return a number whose decimals stand behind a comma with a point."""
    return re.sub(r",(\d{1,2})$", r".\1", number)
