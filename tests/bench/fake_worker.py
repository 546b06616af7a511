#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A worker for the tests of poolmux-bench: it prints what fake.json tells, in the directory that is
its first argument. Each lap is noted in laps.log there."""
import json
import os
import signal
import sys
import time

DEFAULTS = {
    "keys": "10000",
    "skew": "0",
    "value": "64",
    "reads": "50",
    "callers_as": "threads",
    "rate": "0",
    "big": "0",
    "big_value": "256KiB-1MiB",
    "transactions": "0",
    "batch": "0",
    "batch_size": "100",
    "blocked": "0",
    "pushes": "0",
    "subscribers": "0",
    "publishes": "0",
    "big_readers": "0",
    "connections": "0",
    "prefix": "poolmux-bench:",
}
CAN = "threads tcp unix tls"


def listeners() -> "list[str]":
    """Addresses on which anything listens on this machine, as the kernel writes them."""
    found = []
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        found += [row[1] for row in rows if row[3] == "0A"]
    return found


def look(url: str) -> "dict[str, object]":
    """What the server is like, seen from inside a lap."""
    from poolmux_bench.resp import Connection
    from poolmux_bench.url import Url

    with Connection(Url(url)) as connection:
        wanted = ("save", "appendonly", "maxmemory", "port", "dir")
        facts = {name: connection.call("CONFIG", "GET", name)[1].decode() for name in wanted}
        password = connection.call("CONFIG", "GET", "requirepass")[1].decode()
        said = connection.call("INFO", "server").decode()
    pid = [line.split(":")[1] for line in said.split("\r\n") if line.startswith("process_id:")][0]
    mode = os.stat(facts["dir"]).st_mode & 0o777
    return {
        "config": facts,
        "listeners": listeners(),
        "server_pid": int(pid),
        "password": password,
        "stranger": stranger(facts),
        "mode": mode,
        "arguments": arguments(),
    }


def stranger(facts: "dict[str, str]") -> "list[str]":
    """What somebody is told who has no password, at each place where the server listens."""
    from poolmux_bench.problem import Problem
    from poolmux_bench.resp import Connection
    from poolmux_bench.url import Url

    told = []
    urls = [f"unix://{facts['dir']}/server.sock"]
    if facts["port"] != "0":
        urls.append(f"redis://127.0.0.1:{facts['port']}")
    for url in urls:
        with Connection(Url(url)) as connection:
            try:
                told.append(str(connection.call("SET", "k", "v")))
            except Problem as problem:
                told.append(str(problem))
    return told


def arguments() -> "list[str]":
    """Of all programs on this machine, as everybody can see them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                found.append(file.read().replace("\0", " "))
        except OSError:
            pass  # it has ended
    return found


def write(url: str, prefix: str, n: int) -> None:
    from poolmux_bench.resp import Connection
    from poolmux_bench.url import Url

    with Connection(Url(url)) as connection:
        for i in range(n):
            connection.call("SET", f"{prefix}{i}", "x")


def note(home: str, lap: "dict[str, object]") -> None:
    with open(os.path.join(home, "laps.log"), "a", encoding="utf-8") as file:
        file.write(json.dumps(lap) + "\n")


def result(spec: "dict[str, object]", seed: int) -> str:
    calls = spec.get("calls", [1000])
    n = calls[(seed - 1) % len(calls)]
    bound = spec.get("p50_ns", 100000)
    lines = [
        "poolmux-bench-result 1",
        "version poolmux 0.1.0",
        "version library 1.2 (of today)",
        "seconds 2.0",
        f"calls get {n}",
        f"calls set {n}",
        f"failed get {spec.get('failed', 0)}",
        f"latency get {bound}:{n // 2} {2 * bound}:{n - n // 2}",
        f"latency set {4 * bound}:{n - n // 100} {40 * bound}:{n // 100}",
        "slice 0 1500 100000 200000 300000",
        "slice 1 500 110000 210000 310000",
        f"cpu user {n * 2e-5:.6f}",
        f"cpu system {n * 1e-5:.6f}",
        f"cpu server {n * 4e-6:.6f}",
        f"cpu machine {n * 3.4e-5 + float(spec.get('others', 0)):.6f}",
        f"sleeps {n}",
        f"server commands {2 * n}",
        f"server reads {n // 2}",
        f"server writes {n}",
        f"server bytes_in {200 * n}",
        f"server bytes_out {100 * n}",
        "server connections 8",
        "stat routed 17",
    ]
    lines += [f"error {text}" for text in spec.get("errors", [])]
    return "\n".join(lines + spec.get("lines", []) + ["end"]) + "\n"


def option(words: "list[str]", name: str) -> str:
    return words[words.index(name) + 1]


def lap(home: str, library: str, words: "list[str]") -> int:
    way = option(words, "--way")
    spec = json.load(open(os.path.join(home, "fake.json"), encoding="utf-8"))[library][way]
    noted = {"library": library, "way": way, "pid": os.getpid(), "words": words}
    url = os.environ.get("POOLMUX_BENCH_URL") or option(words, "--url")
    for word, other in spec.get("if", {}).items():
        if word in words or url.startswith(word):
            spec = {**spec, **other}
    noted.update(
        control=os.environ.get("POOLMUX_BENCH_CONTROL"),
        url=url,
        callers=int(option(words, "--callers")),
        seed=int(option(words, "--seed")),
    )
    if spec.get("look"):
        noted.update(look(url))
    if spec.get("write"):
        prefix = [word[7:] for word in words if word.startswith("prefix=")][0]
        write(url, prefix, spec["write"])
    if spec.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(home, noted)
    time.sleep(spec.get("sleep", 0))
    if spec.get("server_dies"):
        os.kill(int(str(noted["server_pid"])), signal.SIGKILL)
    if "signal" in spec:
        os.kill(os.getpid(), getattr(signal, spec["signal"]))
    if "exit" in spec:
        print(spec.get("says", "no reason"), file=sys.stderr)
        return spec["exit"]
    print(spec.get("prints") or result(spec, int(option(words, "--seed"))), end="")
    return 0


def main() -> int:
    home, library, words = sys.argv[1], sys.argv[2], sys.argv[3:]
    ways = json.load(open(os.path.join(home, "fake.json"), encoding="utf-8"))[library]
    if words[0] == "--keys":
        if "keys=-1" in words:
            print('poolmux-bench-poolmux: keys "-1": valid for keys', file=sys.stderr)
            return 1
        for key, default in DEFAULTS.items():
            print(f"{key}\t{default}\tvalid for {key}\tthe meaning of {key}")
    elif words[0] == "--fill":
        note(home, {"fill": words})
        time.sleep(ways.get("pool", {}).get("fill_s", 0))
    elif words == ["--ways"]:
        for way in ways:
            print(f"{way}\tthe way {way} of {library}\t{CAN}")
    else:
        return lap(home, library, words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
