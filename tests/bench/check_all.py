# SPDX-License-Identifier: BSD-3-Clause
"""Runs the tests beside it, all or those whose names contain a word of the command line, and counts
them as the other checks do."""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Told(unittest.TestResult):
    """A line for each test, and what is wrong with it."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._since = time.monotonic()

    def _line(self, word: str, test: unittest.TestCase) -> None:
        print(f"{word}: {test.id()} ({time.monotonic() - self._since:.1f} s)", flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._line("ok", test)

    def addFailure(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addFailure(test, err)
        self._line("FAILED", test)
        print(self.failures[-1][1])

    def addError(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addError(test, err)
        self._line("FAILED", test)
        print(self.errors[-1][1])

    def addSubTest(self, test, part, err) -> None:  # type: ignore[no-untyped-def]
        super().addSubTest(test, part, err)
        if err:
            self._line("FAILED", part)
            wrong = self.failures if issubclass(err[0], test.failureException) else self.errors
            print(wrong[-1][1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._line(f"left out, {reason}", test)


def cases(suite: unittest.TestSuite) -> "list[unittest.TestCase]":
    found = []
    for part in suite:
        found += cases(part) if isinstance(part, unittest.TestSuite) else [part]
    return found


def main() -> int:
    loader = unittest.TestLoader()
    wanted = sys.argv[1:]
    chosen = [
        test
        for test in cases(loader.discover(HERE, "check_*.py"))
        if not wanted or any(word in test.id() for word in wanted)
    ]
    result = Told()
    unittest.TestSuite(chosen).run(result)
    bad, wrong = len(result.failures), len(result.errors)
    ran = result.testsRun - len(result.skipped)
    if not ran:
        print("no test was run")
        bad = 1
    share = 100 * max(ran - bad - wrong, 0) // max(ran, 1)
    strict = bool(os.environ.get("POOLMUX_STRICT")) and bool(result.skipped) and not wanted
    if strict:
        print("nothing may be left out")
        bad += 1
    print(f"{share}%: Checks: {ran}, Failures: {bad}, Errors: {wrong}")
    return 1 if bad or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
