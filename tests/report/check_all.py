#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the tests of the report, all or those whose names contain a word of the command line,
and counts them as the other checks do. 77 when some could not be run."""

import os
import shutil
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDS_NO_GNUPLOT = ("check_choices", "check_remarks", "check_words")


class Told(unittest.TextTestResult):
    """A line for each test, and what is wrong with it at once."""

    def getDescription(self, test):
        return test.id()


def cases(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from cases(part)
        else:
            yield part


def main():
    gnuplot = shutil.which("gnuplot")
    chosen = [
        test
        for test in cases(unittest.TestLoader().discover(HERE, "check_*.py"))
        if (not sys.argv[1:] or any(word in test.id() for word in sys.argv[1:]))
        and (gnuplot or test.id().startswith(NEEDS_NO_GNUPLOT))
    ]
    runner = unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Told)
    result = runner.run(unittest.TestSuite(chosen))
    left_out = len(result.skipped)
    ran = result.testsRun - left_out
    failed, wrong = len(result.failures), len(result.errors)
    good = max(0, ran - failed - wrong)
    if left_out:
        print("%d tests were left out: %s" % (left_out, result.skipped[0][1]))
    if not gnuplot:
        print("the report itself was not checked: gnuplot is missing")
    print(
        "%d%%: Checks: %d, Failures: %d, Errors: %d"
        % (good * 100 // max(1, ran), ran, failed, wrong)
    )
    if failed or wrong or not ran:
        return 1
    return 0 if gnuplot else 77


if __name__ == "__main__":
    sys.exit(main())
