"""A browser without a screen, spoken to over a pipe: Chromium's DevTools protocol in the few words that tests need.

https://chromedevtools.github.io/devtools-protocol/ : messages are JSON, each ended by a NUL, on descriptors 3 and 4.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
LIMIT_S = 60.0  # for one answer, on a machine that is busy; then the browser is taken for dead


class Browser:
    """A running Chromium with one tab. `events` are the protocol's events of the tab since `open_page` was called."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for its result. RuntimeError where the browser refuses."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open_page(self, file: Path, *, width: int, dark: bool = False, script: bool = True, media: str = "") -> None:
        """Show a file at this width in CSS pixels, in one of the two colour schemes, and wait until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme, motion])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self._go("about:blank")
        self.events.clear()
        self._go(file.as_uri())

    def _go(self, url: str) -> None:
        """Show what is at `url`, and wait until this very document is loaded."""
        document = self.call("Page.navigate", url=url)["loaderId"]
        end = time.monotonic() + LIMIT_S
        while not any(event["method"] == "Page.lifecycleEvent" and event["params"]["name"] == "load"
                      and event["params"]["loaderId"] == document for event in self.events):  # fmt: skip
            self._receive(end)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page. RuntimeError for an exception."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key goes down and up."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      text=text if kind == "keyDown" else "")  # fmt: skip

    def screenshot(self, file: Path) -> None:
        """The whole page as a PNG file."""
        self.call("Emulation.setScrollbarsHidden", hidden=True)  # or the picture is cut by the width of one
        whole = self.call("Page.getLayoutMetrics")["cssContentSize"]
        part = {**whole, "scale": 1}
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=part)
        file.write_bytes(base64.b64decode(image["data"]))

    def complaints(self) -> list[str]:
        """What stands in the console: errors, warnings, exceptions, refusals by the page's policy."""
        said = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [json.dumps(event["params"]) for event in self.events if event["method"] in said]

    def requests(self) -> list[str]:
        """The addresses of all that was asked for since `open_page`."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]  # fmt: skip

    def _receive(self, end: float | None = None) -> dict[str, Any]:
        """The next message; an event is also put down. TimeoutError where nothing comes."""
        end = end or time.monotonic() + LIMIT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self._in, 1 << 20) if ready else b""
            if not piece:
                raise TimeoutError("the browser says nothing" if not ready else "the browser has ended")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message and message.get("sessionId") == self._session:
            self.events.append(message)
        return message


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser of one's own, with a profile that goes with it; ended at the end."""
    assert CHROMIUM, "there is no chromium on this machine"
    ours_read, write = os.pipe()
    read, ours_write = os.pipe()
    # Out of the way of 3 and 4, which they become in the child.
    its_read, its_write = (fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in (read, write))
    os.close(read)
    os.close(write)

    def place() -> None:
        os.dup2(its_read, 3)
        os.dup2(its_write, 4)

    with tempfile.TemporaryDirectory(prefix="aws-pages-", ignore_cleanup_errors=True) as profile:
        line = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"]  # fmt: skip
        process = subprocess.Popen(line, preexec_fn=place, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        os.close(its_read)
        os.close(its_write)
        try:
            yield Browser(ours_write, ours_read)
        finally:
            os.close(ours_write)
            os.close(ours_read)
            process.terminate()
            process.wait()
