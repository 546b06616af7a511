# SPDX-License-Identifier: BSD-3-Clause
"""A server that is somebody else's: nothing is written unless that is allowed, and what is written
is removed again, whatever ends the run."""
import os
import shutil
import signal
import socket
import subprocess
import threading

from stage import BUILD, Somebody, Stage, is_alive, send, until

ONCE = ("--callers", "8", "--rounds", "1", "--seconds", "0.05", "--warmup", "0")
PREFIX = r"^poolmux-bench:[0-9a-f]{8}:$"


class Foreign(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.somebody = Somebody()
        self.addCleanup(self.somebody.close)
        self.somebody.call("FLUSHALL")
        for key in ("poolmux-bench:mine", "poolmux-bench:", "mine", "poolmux-bench?x"):
            self.somebody.call("SET", key, "x")
        self.mine = self.somebody.keys()
        self.fake({"poolmux": {"pool": {"write": 2500}, "mux": {"write": 20, "sleep": 60}}})
        self.to = ("--url", self.somebody.url, "--allow-writes", "--strategies")

    def test_it_is_refused_and_not_even_connected_to(self) -> None:
        before = self.somebody.connections()
        self.refused("--url", self.somebody.url, says=["--url", "--allow-writes", "poolmux-bench:"])
        self.assertEqual(self.somebody.connections(), before)
        self.assertEqual(self.somebody.keys(), self.mine)

    def test_only_keys_of_the_run_are_written_and_all_are_removed(self) -> None:
        path = os.path.join(self.home, "results.json")
        self.run_bench(*self.to, "pool", *ONCE, "--json", path)
        self.assertEqual(self.somebody.keys(), self.mine)
        results = self.read_json(path)
        self.assertRegex(results["workload"]["settings"]["prefix"], PREFIX)
        self.assertFalse(results["server"]["own"])
        self.assertEqual(results["server"]["url"], self.somebody.url)
        self.assertEqual(results["transports"], ["tcp"])
        self.assertIn(self.somebody.url, self.out)

    def test_a_prefix_with_wildcards_means_itself(self) -> None:
        self.run_bench(*self.to, "pool", *ONCE, "--set", "prefix=p*[a]?\\", "--peers", "none")
        self.assertEqual(self.somebody.keys(), self.mine)
        words = self.laps()[0]["words"]
        self.assertTrue([w for w in words if w.startswith("prefix=p*[a]?\\")], words)

    def test_keys_are_removed_when_a_worker_fails(self) -> None:
        self.fake({"poolmux": {"pool": {"write": 5, "exit": 1}}})
        self.run_bench(*self.to, "pool", *ONCE, status=1)
        self.assertEqual(self.somebody.keys(), self.mine)

    def ended_by(self, number: "signal.Signals") -> None:
        process = self.start(*self.to, "mux", *ONCE)
        until("keys of the run", lambda: self.somebody.keys() != self.mine)
        until("the lap", self.laps)
        send(process, number)
        process.wait()
        until("the removal of all keys", lambda: self.somebody.keys() == self.mine, 15)
        self.assertFalse(is_alive(self.laps()[0]["pid"]))

    def test_keys_are_removed_when_it_is_interrupted(self) -> None:
        self.ended_by(signal.SIGINT)

    def test_keys_are_removed_when_it_is_killed(self) -> None:
        self.ended_by(signal.SIGKILL)

    def test_a_server_that_is_not_there_is_told(self) -> None:
        words = ("--url", "redis://u:canary@127.0.0.1:1", "--allow-writes", "--strategies", "pool")
        self.run_bench(*words, *ONCE, status=1)
        self.assertIn("cannot connect to redis://127.0.0.1:1: ", self.err)
        self.assertNotIn("canary", self.err)


class Trial(Stage):
    """What cleaning up takes is tried first."""

    def setUp(self) -> None:
        super().setUp()
        self.somebody = Somebody()
        self.addCleanup(self.somebody.close)
        self.addCleanup(self.somebody.call, "ACL", "DELUSER", "eve")
        self.fake({"poolmux": {"pool": {"write": 5}}})

    def refuses(self, url: str, *says: str) -> None:
        self.run_bench("--url", url, "--allow-writes", "--strategies", "pool", *ONCE, status=1)
        for text in says:
            self.assertIn(text, self.err)
        self.assertIn("nothing was written", self.err)
        self.assertEqual(len(self.err.splitlines()), 1, self.err)
        self.assertEqual(self.noted(), [])
        self.assertEqual(self.somebody.keys(), [])

    def test_a_server_that_refuses_what_is_needed_is_left_alone(self) -> None:
        url = self.somebody.url.replace("redis://", "redis://eve:pw@")
        for command in ("INFO", "SCAN", "UNLINK"):
            with self.subTest(command=command):
                self.somebody.call(
                    *("ACL", "SETUSER", "eve", "reset", "on", ">pw", "~*", "&*", "+@all"),
                    "-" + command.lower(),
                )
                self.refuses(url, f"--url: {command}: ", "NOPERM")

    def test_so_is_one_where_it_may_remove_only_other_keys(self) -> None:
        self.somebody.call("ACL", "SETUSER", "eve", "on", ">pw", "~other:*", "&*", "+@all")
        self.refuses(self.somebody.url.replace("redis://", "redis://eve:pw@"), "UNLINK: ")

    def test_a_user_without_a_password_is_no_other_user(self) -> None:
        url = self.somebody.url.replace("redis://", "redis://eve@")
        self.refused("--url", url, "--allow-writes", says=["--url: has a user, but no password"])

    def test_keys_that_cannot_be_removed_are_told(self) -> None:
        """Whatever has become of the server's mind meanwhile."""
        self.somebody.call("ACL", "SETUSER", "eve", "on", ">pw", "~*", "&*", "+@all")
        self.fake({"poolmux": {"pool": {"write": 5, "sleep": 0.5}}})
        url = self.somebody.url.replace("redis://", "redis://eve:pw@")
        process = self.start("--url", url, "--allow-writes", "--strategies", "pool", *ONCE)
        until("keys of the run", lambda: len(self.somebody.keys()) == 5)
        self.somebody.call("ACL", "SETUSER", "eve", "-scan")
        self.ended(process, 1)
        self.assertRegex(
            self.err,
            r'NOPERM.*; keys that begin with "poolmux-bench:[0-9a-f]{8}:" may be left there',
        )

    def answering(self, *answers: bytes) -> str:
        """The URL of a server that has only these answers."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(60)  # nobody may come, and the thread is waited for
        self.addCleanup(listener.close)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                for answer in answers:
                    peer.recv(65536)
                    peer.sendall(answer)
                peer.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        return f"redis://127.0.0.1:{listener.getsockname()[1]}"

    def test_what_is_no_server_is_told_and_what_it_says_does_nothing_to_a_terminal(self) -> None:
        self.refuses(self.answering(b"$many\r\n"), "is no Redis or Valkey server")
        self.refuses(self.answering(b"-ERR \x1b[2J\x07no\r\n"), ": ERR ?[2J?no; ")

    def test_so_is_a_node_of_a_cluster(self) -> None:
        url = self.answering(
            b"$36\r\nredis_version:7.0\r\ncluster_enabled:1\r\n",
            b"*2\r\n$1\r\n0\r\n*0\r\n",
            b":0\r\n",
        )
        self.refuses(url, "is a node of a cluster")


class Secret(Stage):
    """With a password that only the environment and the worker's environment have."""

    def setUp(self) -> None:
        super().setUp()
        self.somebody = Somebody()
        self.addCleanup(self.somebody.close)
        self.addCleanup(self.somebody.call, "ACL", "DELUSER", "ada")
        self.somebody.call("ACL", "SETUSER", "ada", "on", ">can/ary", "~*", "&*", "+@all")
        self.fake({"poolmux": {"pool": {"write": 5}}})
        self.path = os.path.join(self.home, "results.json")

    def run_with(self, url: str) -> None:
        words = ("--url", url, "--allow-writes", "--strategies", "pool", "--json", self.path)
        self.run_bench(*words, *ONCE)
        self.assertEqual(self.somebody.keys(), [])
        with open(self.path, encoding="utf-8") as file:
            said = self.out + self.err + file.read()
        self.assertNotIn("can/ary", said)
        self.assertNotIn("can%2Fary", said)
        for noted in self.noted():
            words = " ".join(noted.get("words", []) + noted.get("fill", []))
            self.assertNotIn("can/ary", words)
            self.assertNotIn("can%2Fary", words)

    def test_a_password_comes_from_the_environment(self) -> None:
        os.environ["POOLMUX_PASSWORD"] = "can/ary"
        self.addCleanup(os.environ.pop, "POOLMUX_PASSWORD")
        self.run_with(self.somebody.url.replace("redis://", "redis://ada@"))

    def test_a_password_in_the_url_is_not_passed_on_in_arguments(self) -> None:
        self.run_with(self.somebody.url.replace("redis://", "redis://ada:can%2Fary@"))

    def test_a_passphrase_in_the_url_is_not_passed_on_in_arguments(self) -> None:
        """Of the client's key; the url has no password."""
        url = os.environ.get("POOLMUX_TLS_URL")
        if not url:
            self.skipTest("the server has no TLS")
        theirs, key = os.environ["POOLMUX_TLS_DIR"], os.path.join(self.home, "client.key")
        subprocess.run(
            ["openssl", "ec", "-aes256", "-passout", "pass:can/ary"]
            + ["-in", os.path.join(theirs, "client.key"), "-out", key],
            check=True,
            capture_output=True,
        )
        trust = os.path.join(
            self.home, "trust"
        )  # any name will do, and what is none is passed over
        os.mkdir(trust)
        os.mkdir(os.path.join(trust, "sub"))
        shutil.copy(os.path.join(theirs, "ca.crt"), os.path.join(trust, "some.name"))
        with open(os.path.join(trust, "README"), "w", encoding="utf-8") as file:
            file.write("no certificate\n")
        options = f"?tls.ca_dir={trust}&tls.cert_file={theirs}/client.crt&tls.key_file={key}"
        self.run_with(url + options + "&tls.key_passphrase=can%2Fary")
        self.assertEqual(len(self.laps()), 1)
        self.libexec = os.path.join(BUILD, "bench")  # and the real ones can do with it
        words = ("--url", url + options + "&tls.key_passphrase=can%2Fary", "--allow-writes")
        self.run_bench(*words, "--json", self.path, *ONCE)
        done = {r["contestant"] for r in self.read_json(self.path)["results"] if r["rounds"]}
        self.assertLessEqual({"pool", "hybrid", "hiredis-threads", "hiredis-pipeline"}, done)

    def test_what_only_poolmux_would_know_of_who_is_talked_to_is_refused(self) -> None:
        for option in ("tls.crl_file=/x", "tls.insecure_skip_verify=yes", "socket=/x"):
            self.refused(
                "--url",
                f"{self.somebody.url}?{option}",
                "--allow-writes",
                says=[option.split("=")[0]],
            )

    def test_an_empty_password_is_none(self) -> None:
        """Neither here nor in the URL that workers get."""
        os.environ["POOLMUX_PASSWORD"] = "can/ary"
        self.addCleanup(os.environ.pop, "POOLMUX_PASSWORD")
        for more in ("", "?db=0", "?password=&db=0"):
            with self.subTest(more=more):
                self.run_with(self.somebody.url.replace("redis://", "redis://ada:@") + more)
                self.assertIn("//ada:can%2Fary@", self.laps()[-1]["url"])
                self.assertNotIn("password", self.laps()[-1]["url"])

    def test_what_contestants_set_is_not_set_for_all(self) -> None:
        for option in ("strategy=mux", "hybrid.learn=yes"):
            self.refused(
                *("--url", f"{self.somebody.url}?{option}", "--allow-writes"),
                says=[option.split("=")[0], "is what each contestant sets itself"],
            )

    def test_a_wrong_password_is_told(self) -> None:
        os.environ["POOLMUX_PASSWORD"] = "wrong"
        self.addCleanup(os.environ.pop, "POOLMUX_PASSWORD")
        url = self.somebody.url.replace("redis://", "redis://ada@")
        words = ("--url", url, "--allow-writes", "--strategies", "pool")
        self.run_bench(*words, *ONCE, status=1)
        self.assertIn("WRONGPASS", self.err)
