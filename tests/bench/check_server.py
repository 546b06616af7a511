# SPDX-License-Identifier: BSD-3-Clause
"""The private server: where it listens, what it keeps, and that nothing of it is left, whatever
ends the run."""
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import termios
import time
from typing import Any, Dict

from stage import Stage, is_alive, send, until

LOOPBACK = ("0100007F", "00000000000000000000000001000000")
ONCE = ("--callers", "8", "--rounds", "1")


class Server(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.fake({"poolmux": {"pool": {"look": True}}})

    def seen(self, *words: str) -> Dict[str, Any]:
        self.quick("--strategies", "pool", *ONCE, *words)
        lap: Dict[str, Any] = self.laps()[-1]
        return lap

    def test_it_listens_on_loopback_only_and_keeps_nothing(self) -> None:
        lap = self.seen()
        config = lap["config"]
        port = f"{int(config['port']):04X}"
        addresses = [a.split(":")[0] for a in lap["listeners"] if a.split(":")[1] == port]
        self.assertTrue(addresses)
        self.assertLessEqual(set(addresses), set(LOOPBACK))
        self.assertEqual((config["save"], config["appendonly"]), ("", "no"))
        self.assertGreater(int(config["maxmemory"]), 0)
        self.assertTrue(config["dir"].startswith(self.tmp))
        self.assertFalse(is_alive(lap["server_pid"]))

    def test_nobody_else_gets_in(self) -> None:
        path = os.path.join(self.home, "results.json")
        laps = [
            self.seen("--transports", transports, "--json", path) for transports in ("tcp", "unix")
        ]
        for lap in laps:
            self.assertRegex(lap["password"], "^[0-9a-f]{40}$")
            self.assertEqual(lap["mode"], 0o700)
            self.assertTrue(all("NOAUTH" in told for told in lap["stranger"]), lap["stranger"])
            self.assertTrue([words for words in lap["arguments"] if "fake_worker" in words])
            self.assertFalse([words for words in lap["arguments"] if lap["password"] in words])
            with open(path, encoding="utf-8") as file:
                self.assertNotIn(lap["password"], self.out + self.err + file.read())
        self.assertEqual([len(lap["stranger"]) for lap in laps], [2, 1])
        self.assertNotEqual(laps[0]["password"], laps[1]["password"])

    def test_the_password_is_not_in_the_arguments_that_the_server_begins_with(self) -> None:
        """Later it hides them."""
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if not server or not shutil.which("bash"):
            self.skipTest("there is no server program by its own name, or no bash")
        path, seen = os.path.join(self.home, "odd-server"), os.path.join(self.home, "seen")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/bash\necho \"$@\" >'{seen}'\nexec '{server}' \"$@\"\n")
        os.chmod(path, 0o755)
        os.environ["POOLMUX_SERVER"] = path
        self.addCleanup(os.environ.pop, "POOLMUX_SERVER")
        lap = self.seen()
        with open(seen, encoding="utf-8") as file:
            words = file.read()
        self.assertIn("--unixsocket", words)
        self.assertNotIn(lap["password"], words)

    def test_a_unix_socket_needs_no_port(self) -> None:
        lap = self.seen("--transports", "unix")
        self.assertEqual(lap["config"]["port"], "0")

    def test_tls_has_certificates_that_hold(self) -> None:
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl program")
        lap = self.seen("--transports", "tls")
        self.assertRegex(
            lap["url"], r"^rediss://:[0-9a-f]+@127\.0\.0\.1:\d+\?tls\.ca_file=/.*ca\.crt$"
        )
        self.assertEqual(lap["config"]["port"], "0")

    def test_tls_without_openssl_is_told(self) -> None:
        path = os.path.join(self.home, "bin")
        os.mkdir(path)
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if not server:
            self.skipTest("there is no server program by its own name")
        os.environ["POOLMUX_SERVER"] = server
        self.addCleanup(os.environ.pop, "POOLMUX_SERVER")
        for tool in ("sh", "python3"):
            os.symlink(shutil.which(tool) or "", os.path.join(path, tool))
        before = os.environ["PATH"]
        os.environ["PATH"] = path
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        self.quick("--transports", "tls", "--strategies", "pool", *ONCE, status=1)
        self.assertIn("TLS: there is no openssl program", self.err)

    def test_a_server_that_does_not_start_is_told(self) -> None:
        path = os.path.join(self.home, "odd-server")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho this is no server >&2\nexit 1\n")
        os.chmod(path, 0o755)
        os.environ["POOLMUX_SERVER"] = path
        self.addCleanup(os.environ.pop, "POOLMUX_SERVER")
        self.quick("--strategies", "pool", *ONCE, status=1)
        self.assertIn("the private server does not start: this is no server", self.err)


class Endings(Stage):
    """A lap of many seconds is interrupted, with another one done before."""

    def setUp(self) -> None:
        super().setUp()
        slow = {"look": True, "sleep": 60}
        self.fake({"poolmux": {"pool": {"look": True}, "mux": slow}})
        self.results = os.path.join(self.home, "results.json")
        self.since = time.monotonic()

    def begun(self, laps: int = 2) -> "subprocess.Popen[str]":
        words = ("--strategies", "pool,mux", "--callers", "8", "--seconds", "0.05")
        process = self.start(*words, "--json", self.results)
        until("the slow lap", lambda: len(self.laps()) == laps)
        return process

    def all_gone(self) -> None:
        laps = self.laps()
        pids = [lap["pid"] for lap in laps] + [laps[0]["server_pid"]]
        until("the end of all processes", lambda: not any(is_alive(pid) for pid in pids), 15)
        until("the end of all files", lambda: not os.listdir(self.tmp), 15)
        self.assertLess(time.monotonic() - self.since, 50)

    def interrupted(self, number: "signal.Signals") -> None:
        process = self.begun()
        send(process, number)
        self.ended(process, 128 + number)
        self.assertIn("INCOMPLETE: interrupted after 0 of 5 rounds", self.out)
        self.assertRegex(self.out, r"(?m)^pool +1,000 ")
        self.assertRegex(self.out, r"(?m)^mux +not measured$")
        results = self.read_json(self.results)
        self.assertTrue(results["incomplete"])
        self.assertEqual([len(r["rounds"]) for r in results["results"]], [1, 0])
        self.all_gone()

    def test_an_interrupt_ends_it_with_what_there_is(self) -> None:
        self.interrupted(signal.SIGINT)

    def test_so_does_a_request_to_terminate(self) -> None:
        self.interrupted(signal.SIGTERM)

    def test_so_does_a_terminal_that_is_closed(self) -> None:
        self.interrupted(signal.SIGHUP)

    def test_one_that_is_killed_leaves_nothing(self) -> None:
        process = self.begun()
        send(process, signal.SIGKILL)
        process.wait()
        self.all_gone()
        self.assertFalse(os.path.exists(self.results))

    def test_an_interrupt_before_anything_was_measured_says_so(self) -> None:
        self.fake({"poolmux": {"pool": {"fill_s": 60}}})
        process = self.start("--strategies", "pool", *ONCE)
        until("the keys", self.noted)
        send(process, signal.SIGINT)
        self.ended(process, 130)
        self.assertEqual(self.out, "")
        self.assertEqual(self.err, "poolmux-bench: interrupted before anything was measured\n")
        self.assertLess(time.monotonic() - self.since, 50)

    def test_a_second_interrupt_ends_it_at_once(self) -> None:
        stubborn = {"look": True, "sleep": 60, "stubborn": True}
        self.fake({"poolmux": {"pool": {"look": True}, "mux": stubborn}})
        process = self.begun()
        send(process, signal.SIGINT)  # it waits for the worker, which does not listen
        send(process, signal.SIGTERM)
        process.wait(15)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.all_gone()

    def test_a_signal_that_is_ignored_stays_ignored(self) -> None:
        self.fake({"poolmux": {"pool": {"sleep": 0.5}}})
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            words = ("--strategies", "pool", *ONCE, "--seconds", "0.05")
            process = self.start(*words)
        finally:
            signal.signal(signal.SIGHUP, before)
        until("a lap", self.laps)
        send(process, signal.SIGHUP)
        self.ended(process, 0)

    def test_output_that_nobody_reads_is_no_trouble(self) -> None:
        ours, theirs = os.pipe()
        os.close(ours)
        self.fake({"poolmux": {"pool": {}}})
        process = self.start("--strategies", "pool", *ONCE, "--seconds", "0.05", stdout=theirs)
        os.close(theirs)
        self.ended(process, 128 + signal.SIGPIPE)
        self.assertEqual(self.err, "")

    def test_a_server_that_ends_does_not_take_the_results_along(self) -> None:
        process = self.begun()
        os.kill(self.laps()[0]["server_pid"], signal.SIGKILL)
        os.kill(self.laps()[1]["pid"], signal.SIGKILL)
        self.ended(process, 1)
        self.assertRegex(self.out, r"(?m)^mux +failed: it was ended by signal 9$")
        self.assertRegex(self.out, r"(?m)^pool +failed: the private server has ended by signal 9: ")
        self.assertNotIn("config from stdin", self.out)
        results = self.read_json(self.results)
        self.assertEqual([len(r["rounds"]) for r in results["results"]], [1, 0])
        self.all_gone()

    def test_a_server_that_ends_in_a_lap_is_why_that_has_failed(self) -> None:
        dying = {"look": True, "server_dies": True, "exit": 1, "says": "Connection refused"}
        self.fake({"poolmux": {"pool": dying}})
        self.quick("--strategies", "pool", *ONCE, status=1)
        self.assertRegex(self.out, r"(?m)^pool +failed: the private server has ended by signal 9: ")

    def test_a_closed_terminal_leaves_the_files_that_were_asked_for(self) -> None:
        """And a progress line, or a table, that cannot be printed is no trouble."""
        ours, theirs = os.openpty()

        def at_the_terminal() -> None:
            os.setsid()
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)

        words = (
            "--strategies",
            "pool,mux",
            "--callers",
            "8",
            "--seconds",
            "0.05",
            "--json",
            self.results,
        )
        process = self.start(*words, stdout=theirs, stderr=theirs, preexec_fn=at_the_terminal)
        os.close(theirs)
        until("the slow lap", lambda: len(self.laps()) == 2)
        os.close(ours)
        self.ended(process, 128 + signal.SIGHUP)
        self.assertTrue(self.read_json(self.results)["incomplete"])
        self.all_gone()

    def test_a_table_that_nobody_reads_does_not_keep_the_results_back(self) -> None:
        self.fake({"poolmux": {"pool": {}}})
        for reader, status, says in (
            (None, 128 + signal.SIGPIPE, ""),
            ("/dev/full", 1, "No space left"),
        ):
            with self.subTest(reader=reader):
                if reader:
                    theirs = os.open(reader, os.O_WRONLY)
                else:
                    ours, theirs = os.pipe()
                    os.close(ours)
                words = ("--strategies", "pool", *ONCE, "--seconds", "0.05", "--json", self.results)
                process = self.start(*words, stdout=theirs)
                os.close(theirs)
                self.ended(process, status)
                self.assertIn(says, self.err)
                self.assertLessEqual(len(self.err.splitlines()), 1)
                self.assertFalse(self.read_json(self.results)["incomplete"])
                os.unlink(self.results)

    def limited(self, n: int, *words: str) -> None:
        """No file may be larger, as on a disk that is full."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))

        self.fake({"poolmux": {"pool": {}}})
        process = self.start(
            "--strategies", "pool", *ONCE, "--seconds", "0.05", *words, preexec_fn=limit
        )
        self.ended(process, 1)

    def test_results_that_do_not_fit_leave_nothing_behind(self) -> None:
        where = os.path.join(self.home, "where")
        os.mkdir(where)
        for old in (None, "of before\n"):
            path = os.path.join(where, "results")
            if old:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(old)
            self.limited(4000, "--json", path)
            self.assertIn(f"--json: {path}: File too large", self.err)
            self.assertEqual(os.listdir(where), ["results"] if old else [])

    def test_a_server_whose_files_do_not_fit_is_told(self) -> None:
        self.limited(10, "--transports", "tls")
        self.assertEqual(self.err.count("\n"), 1)
        self.assertIn("no files for the private server: ", self.err)

    def test_results_that_cannot_be_written_are_told(self) -> None:
        """The table is printed nevertheless."""
        self.fake({"poolmux": {"pool": {"sleep": 0.5}}})
        where = os.path.join(self.home, "where")
        os.mkdir(where)
        path = os.path.join(where, "x")
        process = self.start("--strategies", "pool", *ONCE, "--seconds", "0.05", "--json", path)
        until("the lap", self.laps)
        os.rmdir(where)
        self.ended(process, 1)
        self.assertIn(f"--json: {path}: No such file or directory", self.err)
        self.assertRegex(self.out, r"(?m)^pool +1,000 ")
