#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A headless Chromium that opens a page and tells what it did: console, exceptions, requests,
sizes. It is spoken to through a pipe, so that nothing listens and nothing but Python is needed.

usage: browser.py PAGE PICTURE [WIDTH [light|dark [TOP HEIGHT]]]   a picture of a page"""

import base64
import functools
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60  # seconds for an answer


def works(path):
    """Some of these names start something else, which only says what to install."""
    done = subprocess.run(
        [path, "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


@functools.lru_cache(maxsize=None)
def program():
    return next((path for path in map(shutil.which, PROGRAMS) if path and works(path)), None)


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="poolmux-browser-")
        to_browser, ours_out = os.pipe()
        ours_in, from_browser = os.pipe()
        command = [
            program(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--user-data-dir=" + self.folder,
            "--remote-debugging-pipe",
            "about:blank",
        ]

        # The browser reads descriptor 3 and writes descriptor 4.
        shell = ["sh", "-c", 'exec "$@" 3<&%d 4>&%d' % (to_browser, from_browser), "sh"]
        self.process = subprocess.Popen(
            shell + command,
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.ours_in, self.ours_out = ours_in, ours_out
        self.received = b""
        self.number = 0
        self.events = []
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise

    def _attach(self):
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *about):
        try:
            self.session = None
            self.ask("Browser.close")
        except (OSError, RuntimeError, AttributeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.ours_in)
        os.close(self.ours_out)
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self, deadline):
        while b"\0" not in self.received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.ours_in], [], [], left)[0]:
                raise RuntimeError("the browser does not answer")
            got = os.read(self.ours_in, 1 << 20)
            if not got:
                raise RuntimeError("the browser has ended")
            self.received += got
        one, self.received = self.received.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, parameters=None):
        self.number += 1
        told = {"id": self.number, "method": method, "params": parameters or {}}
        if getattr(self, "session", None):
            told["sessionId"] = self.session
        os.write(self.ours_out, json.dumps(told).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            got = self.message(deadline)
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError("%s: %s" % (method, got["error"]["message"]))
                return got["result"]
            self.events.append(got)

    def open(self, path, width=1280, height=900, scheme="light"):
        """What happened: everything that a browser tells of a page, from its request on."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        self.ask(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        self.events = []
        self.ask("Page.navigate", {"url": pathlib.Path(os.path.abspath(path)).as_uri()})
        deadline = time.monotonic() + PATIENCE
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self.message(deadline))
        self.value("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
        return self.events

    def requests(self):
        return [
            one["params"]["request"]["url"]
            for one in self.events
            if one.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self):
        """Console, exceptions, and what the browser itself logs."""
        return [
            json.dumps(one["params"])
            for one in self.events
            if one.get("method")
            in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def value(self, expression):
        got = self.ask(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        if "exceptionDetails" in got:
            raise RuntimeError(json.dumps(got["exceptionDetails"]))
        return got["result"].get("value")

    def picture(self, path, top=0, height=None):
        whole = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": top,
            "width": whole["width"],
            "height": height or whole["height"] - top,
            "scale": 1,
        }
        got = self.ask("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        with open(path, "wb") as file:
            file.write(base64.b64decode(got["data"]))

    def paper(self, path):
        got = self.ask(
            "Page.printToPDF",
            {
                "printBackground": False,
                "preferCSSPageSize": False,
                "paperWidth": 8.27,
                "paperHeight": 11.69,
            },
        )
        with open(path, "wb") as file:
            file.write(base64.b64decode(got["data"]))


def main(arguments):
    if len(arguments) < 2 or not program():
        print(
            __doc__.rsplit("\n", 1)[-1] if program() else "no Chromium was found", file=sys.stderr
        )
        return 2
    page, picture = arguments[:2]
    width = int(arguments[2]) if len(arguments) > 2 else 1280
    scheme = arguments[3] if len(arguments) > 3 else "light"
    top = int(arguments[4]) if len(arguments) > 4 else 0
    height = int(arguments[5]) if len(arguments) > 5 else None
    with Browser() as browser:
        browser.open(page, width, 900, scheme)
        browser.picture(picture, top, height)
        print("requests: %s" % browser.requests())
        print("complaints: %s" % browser.complaints())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
