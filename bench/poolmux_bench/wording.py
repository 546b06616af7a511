# SPDX-License-Identifier: BSD-3-Clause
"""A workload in words, from its settings. What they may be is known to the workers, which refuse
the rest: what cannot be read here counts as the default."""
from typing import Any, Dict, List, Optional

from . import words


class Wording:
    """The settings of a workload with their types; what is missing has its default."""

    def __init__(self, workload: Optional[Dict[str, Any]]) -> None:
        workload = workload or {}
        settings = workload.get("settings") or {}
        self.name = str(workload.get("name") or "workload")
        self.source = str(workload.get("source") or "")
        self.settings = {str(key): str(value) for key, value in settings.items()}
        self.callers_as = self.settings.get("callers_as", "threads")
        self.rate = self.figure("rate", 0)
        self.big = self.figure("big", 0)
        self.values = self.lengths("value", "64")
        self.big_values = self.lengths("big_value", "256KiB-1MiB")

    def figure(self, key: str, default: float) -> float:
        try:
            return float(self.settings.get(key, default))
        except ValueError:
            return float(default)

    def lengths(self, key: str, default: str) -> words.Sizes:
        try:
            return words.sizes(self.settings.get(key, default))
        except ValueError:
            return words.sizes(default)

    @property
    def is_open(self) -> bool:
        return self.rate > 0

    def value_words(self) -> str:
        """For "with 64 callers and ...": 64-byte values; values of 64 bytes to 256 KiB."""
        low = min(part[0] for part in self.values)
        high = max(part[1] for part in self.values)
        if low == high:
            name = words.size(low).replace("bytes", "byte").replace(" ", "-")
            return "%s values" % name
        return "values of %s" % words.span(low, high)

    def title(self) -> str:
        reads = self.figure("reads", 50)
        told = [
            "%s reads" % words.percent(reads)
            if 0 < reads < 100
            else "only reads"
            if reads
            else "only writes",
            self.value_words(),
        ]
        if self.big:
            told.append("%s of the calls with %s" % (words.percent(self.big), self.big_words()))
        for key, name in (("transactions", "transactions"), ("batch", "batches")):
            if self.figure(key, 0):
                told.append("%s %s" % (words.percent(self.figure(key, 0)), name))
        if self.figure("blocked", 0):
            told.append(words.plural(int(self.figure("blocked", 0)), "blocked consumer"))
        if self.figure("subscribers", 0):
            told.append(words.plural(int(self.figure("subscribers", 0)), "subscriber"))
        readers = self.count("big_readers")
        if readers:
            told.append(
                "%s of %s" % (words.plural(readers, "constant reader"), self.big_words())
            )
        return ", ".join(told)

    def big_words(self) -> str:
        return words.span(
            min(part[0] for part in self.big_values), max(part[1] for part in self.big_values)
        )

    def sentences(self) -> List[str]:
        """The whole of it, a sentence for each thing."""
        told = [self.loop_words(), self.keys_words(), self.sizes_words(), *self.parts_words()]
        return told + ["Every answer is compared with what was written."]

    def share(self, key: str) -> str:
        """A part of the calls, or nothing."""
        value = self.figure(key, 0)
        return words.percent(value) if value else ""

    def count(self, key: str, default: int = 0) -> int:
        return int(self.figure(key, default))

    def parts_words(self) -> List[str]:
        big, transactions, batches = map(self.share, ("big", "transactions", "batch"))
        blocked, subscribers = self.count("blocked"), self.count("subscribers")
        told = [
            big and "%s of the calls carry values of %s." % (big, self.big_words()),
            transactions
            and "%s are transactions: WATCH, GET, MULTI, SET, EXEC on a key of the caller's own."
            % transactions,
            batches
            and "%s are batches of %s."
            % (batches, words.plural(self.count("batch_size", 100), "command")),
            blocked
            and "Beside the callers, %s for elements of lists; %s of the calls push one."
            % (
                words.plural(blocked, "consumer waits", "consumers wait"),
                self.share("pushes") or "none",
            ),
            subscribers
            and "%s, and %s of the calls publish."
            % (
                words.plural(subscribers, "subscriber listens", "subscribers listen"),
                self.share("publishes") or "none",
            ),
            self.count("big_readers")
            and "Beside the callers, %s a value of %s over and over, which is not among the calls."
            % (
                words.plural(self.count("big_readers"), "reader gets", "readers get"),
                self.big_words(),
            ),
            self.count("connections")
            and "Those who have a pool have %s for the callers."
            % words.plural(self.count("connections"), "connection"),
        ]
        return [line for line in told if line]

    def loop_words(self) -> str:
        kind = {
            "threads": "threads that wait for each answer",
            "callbacks": "callbacks on one thread that begins all calls",
            "futures": "futures",
        }.get(self.callers_as, self.callers_as)
        if self.is_open:
            return (
                "Open loop: %s calls a second of all callers together, each begun when it is "
                "due, or late if no caller is free; its latency counts from when it was due. "
                "Callers are %s, where a contestant has the choice."
                % (words.number(self.rate), kind)
            )
        return (
            "Closed loop: each caller makes its next call when the last one was answered. "
            "Callers are %s, where a contestant has the choice." % kind
        )

    def keys_words(self) -> str:
        reads = self.figure("reads", 50)
        skew = self.figure("skew", 0)
        mix = "%s of the ordinary calls are GET, the others SET" % words.percent(reads)
        if reads in (0, 100):
            mix = "The ordinary calls are %s" % ("GET" if reads else "SET")
        return "%s, of %s keys, %s." % (
            mix,
            format(int(self.figure("keys", 10000)), ","),
            "each as often as the others"
            if not skew
            else "some far more often than others (Zipf, exponent %s)" % words.number(skew),
        )

    def sizes_words(self) -> str:
        if len(self.values) == 1:
            return "A value has %s." % words.span(*self.values[0][:2])
        return "A value has %s." % words.several(
            "%s (%s)" % (words.span(low, high), words.percent(100 * share))
            for low, high, share in self.values
        )
