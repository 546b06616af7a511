# SPDX-License-Identifier: BSD-3-Clause
"""Numbers and sizes in words. Pure functions from values to text, plain and not
HTML; they know nothing of results but the settings of a workload."""

import re
from typing import Iterable, List, Optional, Sequence, Tuple

UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
TRANSPORTS = {"tcp": "TCP", "unix": "a Unix socket", "tls": "TLS"}
Sizes = List[Tuple[int, int, float]]  # least, most, share of 1
TIMES = "\N{MULTIPLICATION SIGN}"

# What a smaller value is of a greater one, for the ear. Near one of them is "about"; else digits.
FRACTIONS = (
    (1 / 10, "a tenth of"),
    (1 / 8, "an eighth of"),
    (1 / 6, "a sixth of"),
    (1 / 5, "a fifth of"),
    (1 / 4, "a quarter of"),
    (1 / 3, "a third of"),
    (2 / 5, "two fifths of"),
    (1 / 2, "half"),
    (3 / 5, "three fifths of"),
    (2 / 3, "two thirds of"),
    (3 / 4, "three quarters of"),
    (4 / 5, "four fifths of"),
    (9 / 10, "nine tenths of"),
)


def number(value: Optional[float]) -> str:
    """Three digits that count: 17,500; 52.3; 0.012."""
    if value is None:
        return "\N{EN DASH}"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.001:
        return "%.1g" % value
    digits = 0
    while size < 100 and digits < 5:
        size *= 10
        digits += 1
    if digits == 0:
        scale = 1
        while size >= 1000:
            size /= 10
            scale *= 10
        return format(int(round(value / scale)) * scale, ",")
    text = "%.*f" % (digits, value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def times(ratio: float) -> str:
    """A ratio in two digits, or three near 1: 2.1 ×, 0.48 ×, 1.05 ×, 12 ×."""
    digits = 0 if ratio >= 9.95 else 1 if ratio >= 1.195 else 2
    text = "%.*f" % (digits, ratio)
    return "%s %s" % (text[:-2] if text.endswith(".0") else text, TIMES)


def share_of(ratio: float, what: str) -> str:
    """`ratio` times `what`, above or below it: "about half the p99", "1.3 × the p99"."""
    if ratio >= 1:
        return "%s %s" % (times(ratio), what)
    if ratio < 0.095:
        return "less than a tenth of %s" % what
    value, name = min(FRACTIONS, key=lambda known: abs(known[0] / ratio - 1))
    away = abs(value / ratio - 1)
    if away > 0.07:
        return "%s %s" % (times(ratio), what)
    return "%s%s %s" % ("" if away <= 0.03 else "about ", name, what)


def duration(us: Optional[float]) -> str:
    """Microseconds, in a unit that fits."""
    if us is None:
        return "\N{EN DASH}"
    for limit, unit, name in ((999.5, 1, "µs"), (999.5e3, 1e3, "ms")):
        if us < limit:
            return "%s %s" % (number(us / unit), name)
    return "%s s" % number(us / 1e6)


def brief(us: float) -> str:
    """The same in two digits, for sentences."""
    return duration(float("%.2g" % us))


def size(count: float) -> str:
    """Bytes: 64 bytes, 256 KiB."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= unit and (count % (unit // 4) == 0 or count >= 10 * unit):
            return "%s %s" % (number(count / unit), name)
    return "1 byte" if count == 1 else "%s bytes" % format(int(count), ",")


def percent(value: Optional[float]) -> str:
    return "%s %%" % number(value)


def plural(count: float, one: str, many: Optional[str] = None) -> str:
    return "%s %s" % (format(count, ","), one if count == 1 else many or one + "s")


def count(value: Optional[float], one: str, many: Optional[str] = None) -> str:
    """12.3 commands, 1 command."""
    text = number(value)
    return "%s %s" % (text, one if text == "1" else many or one + "s")


def callers(counts: Sequence[int]) -> str:
    """1 caller; 8 and 64 callers"""
    return "%s %s" % (
        several(format(one, ",") for one in counts),
        "caller" if list(counts) == [1] else "callers",
    )


def several(parts: Iterable[str]) -> str:
    """a, b and c"""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    return "%s and %s" % (", ".join(parts[:-1]), parts[-1])


def sentence(text: str, names: Sequence[str] = ()) -> str:
    """With a capital, unless it begins with one of the names, and a full stop."""
    text = text.strip()
    if not text:
        return text
    if not text.startswith(tuple(names)):
        text = text[0].upper() + text[1:]
    return text + ("" if text[-1] in ".!?" else ".")


# ---- settings of a workload ----


def bytes_of(text: str) -> int:
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    if not match or match.group(2).lower() not in UNITS:
        raise ValueError("not a size: %r" % text)
    return int(float(match.group(1)) * UNITS[match.group(2).lower()])


def sizes(text: str) -> Sizes:
    """Of "64:90,1KiB-2KiB:10": (least, most, share of 1) each."""
    parts = []
    for part in str(text).split(","):
        span, _, weight = part.partition(":")
        least, _, most = span.partition("-")
        low = bytes_of(least)
        parts.append((low, bytes_of(most) if most else low, float(weight or 1)))
    total = sum(part[2] for part in parts) or 1
    return [(low, high, weight / total) for low, high, weight in parts]


def mean_size(parts: Sizes) -> float:
    return sum((low + high) / 2 * share for low, high, share in parts)


def span(low: int, high: int) -> str:
    return size(low) if low == high else "%s to %s" % (size(low), size(high))
