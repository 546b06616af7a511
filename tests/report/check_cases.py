#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the report says when something is missing, and what becomes of the file."""

import ast
import glob
import os
import select
import stat
import tempfile
import threading
import unittest
from unittest import mock

from made import cell, contestant, not_measured, results, usual
from page import rendered
from poolmux_bench import charts, report
from poolmux_bench.problem import Problem


class Cases(unittest.TestCase):
    def test_what_is_missing_skipped_and_failed_is_shown_with_its_reason(self):
        made = results(
            [
                cell("pool", 8),
                cell("hybrid", 8, failed=2, errors=["LOST: it went away"]),
                not_measured("mux", 8, skipped="mux refuses BLPOP"),
                not_measured("hiredis", 8, failed="no answer in 9 s"),
            ],
            incomplete=True,
            rounds=8,
        )
        made["contestants"].append(
            contestant("boost-redis", "peer", "boost/redis.hpp was not found")
        )
        text = rendered(made).text()
        for told in (
            "Before you believe it",
            "The run was ended before it was complete: 5 of 8 rounds",
            "10 calls of hybrid failed: LOST: it went away.",
            "Not among the figures",
            "mux was left out: mux refuses BLPOP.",
            "hiredis was left out: it failed: no answer in 9 s.",
            "boost-redis is missing: boost/redis.hpp was not found.",
        ):
            self.assertIn(told, text)

    def test_a_quiet_run_has_no_warnings(self):
        text = rendered(results([cell("pool", 8), cell("hybrid", 8)])).text()
        self.assertFalse("Before you believe it" in text)

    def test_the_advice_is_on_the_page(self):
        text = rendered(usual()).text()
        self.assertIn("Take hybrid, with every number of callers that was tried.", text)
        self.assertIn(
            "With 64 callers and 64-byte values hybrid gives 2 × the throughput of pool at half "
            "the p99 and 1.11 × that of mux at nine tenths of the p99.",
            text,
        )

    def test_no_password_is_on_the_page(self):
        for url in (
            "redis://:canary@db",
            "redis://ada:canary@db:6379/0",
            "rediss://a:can/canary@db",
            "redis://ada:c@canary@db",
            "redis://db/0?password=canary&x=1",
        ):
            made = results(
                [cell("pool", 8)],
                arguments=["--url", url, "--url=" + url],
                server={"name": "redis", "version": "7", "own": False, "url": url},
            )
            self.assertFalse("canary" in report.render(made), url)

    def test_without_gnuplot_it_is_said_what_to_install(self):
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.dict(os.environ, PATH=folder):
                with self.assertRaises(charts.Missing) as caught:
                    report.write(usual(), os.path.join(folder, "report.html"))
            self.assertIn("install the package gnuplot-nox", str(caught.exception))
            self.assertEqual([], os.listdir(folder))

    def test_a_gnuplot_that_cannot_draw_is_told_in_its_words(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "gnuplot"), "w", encoding="ascii") as file:
                file.write("#!/bin/sh\necho 'no svg terminal here' >&2\nexit 1\n")
            os.chmod(file.name, 0o755)
            with mock.patch.dict(os.environ, PATH=folder + ":" + os.environ["PATH"]):
                with self.assertRaises(charts.Missing) as caught:
                    report.render(usual())
            self.assertIn("no svg terminal here", str(caught.exception))

    def test_temporary_files_may_be_anywhere(self):
        with tempfile.TemporaryDirectory() as folder:
            odd = os.path.join(folder, "a b'c\"d`e$f\\g%h")
            os.mkdir(odd)
            with mock.patch.object(tempfile, "tempdir", odd):
                self.assertTrue(report.render(usual()) == report.render(usual()))
            self.assertEqual([], os.listdir(odd))

    def test_the_users_own_settings_of_gnuplot_are_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            seen = os.path.join(folder, "seen")
            with open(os.path.join(folder, ".gnuplot"), "w", encoding="ascii") as file:
                file.write('system("touch %s")\n' % seen)
            with mock.patch.dict(os.environ, HOME=folder):
                report.render(usual())
            self.assertFalse(os.path.exists(seen))

    def test_the_file_is_whole_or_not_there(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.html")
            report.write(usual(), path)
            self.assertEqual(["report.html"], os.listdir(folder))
            mask = os.umask(0)
            os.umask(mask)
            self.assertEqual(0o666 & ~mask, stat.S_IMODE(os.stat(path).st_mode))
            with open(path, encoding="utf-8") as file:
                self.assertTrue(report.render(usual()) == file.read())
            report.write(results([cell("pool", 8)]), path)
            self.assertEqual(["report.html"], os.listdir(folder))
            for taken, why in (
                ("no/report.html", "No such file or directory"),
                ("taken", "Is a directory"),
            ):
                os.makedirs(os.path.join(folder, "taken"), exist_ok=True)
                with self.assertRaises(Problem) as caught:
                    report.write(usual(), os.path.join(folder, taken))
                self.assertEqual(
                    "--html: %s: %s" % (os.path.join(folder, taken), why), str(caught.exception)
                )
            self.assertEqual(["report.html", "taken"], sorted(os.listdir(folder)))

    def test_what_is_not_a_file_is_written_to_and_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pipe")
            os.mkfifo(path)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            made = threading.Thread(target=report.write, args=(results([cell("pool", 8)]), path))
            made.start()
            found = b""
            while made.is_alive() or select.select([reader], [], [], 0)[0]:
                if select.select([reader], [], [], 0.1)[0]:
                    got = os.read(reader, 1 << 16)
                    found += got
                    if not got and not made.is_alive():
                        break
            made.join()
            os.close(reader)
            self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
            self.assertEqual((b"<!DOCTYPE html>", b"</html>\n"), (found[:15], found[-8:]))

    def test_the_sources_are_python_3_9(self):
        for path in glob.glob(os.path.join(os.path.dirname(report.__file__), "*.py")):
            with open(path, encoding="utf-8") as file:
                ast.parse(file.read(), path, feature_version=(3, 9))


if __name__ == "__main__":
    unittest.main()
