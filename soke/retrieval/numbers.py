"""Numbers written in digits as words."""

from __future__ import annotations

#: More digits than this are no quantity: they are read digit by digit.
LONGEST_NUMBER = 9
#: More digits than this are not retrieved at all.
LONGEST_DIGITS = 20
_CHINESE_DIGITS = "零一二三四五六七八九"


def library_words(number: int, language: str) -> str:
    """The words of a number by `num2words`, which has to know ``language``."""
    from num2words import num2words  # read only where there are numbers

    return num2words(number, lang=language)


def chinese_words(number: int) -> str:
    """Chinese numerals: 12 is 十二, 105 一百零五, 20000 二万."""
    if number < 10:
        return _CHINESE_DIGITS[number]
    units = ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十"))
    size, name = next(unit for unit in units if number >= unit[0])
    count, rest = divmod(number, size)
    head = "" if (count, size) == (1, 10) else chinese_words(count)
    if not rest:
        return head + name
    zero = "零" if rest < size // 10 else ""
    # Inside a larger number ten is 一十: 110 is 一百一十.
    ten = "一" if 10 <= rest < 20 and size > 10 else ""
    return head + name + zero + ten + chinese_words(rest)


def whole_numbers(written: str, thousands: str) -> list[str]:
    """The whole numbers that a number of a text stands for, as digits.

    Groups of three digits behind the language's mark of thousands are one number (1,500); anything
    else with a point or comma is cut there (12.5, 26.7.), since signs for fractions and dates
    differ from language to language.
    """
    groups = written.split(thousands)
    grouped = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    if len(groups) > 1 and grouped and "".join(groups).isdecimal():
        return ["".join(groups)]
    return written.replace(",", ".").split(".")
