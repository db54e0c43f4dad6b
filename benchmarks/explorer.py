"""How long the explorer takes from a key press, or a choice of a network, to the redrawn figure.

    python benchmarks/explorer.py [--times 20]

Voila serves the notebook with the published studies, and headless Chromium opens it. A time ends
with the frame after the last panel was drawn. Beside it stands the time that the page's main thread
was busy, which a busy machine leaves as it is. What the kernel computes comes later, and apart.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import machine, markdown, median_spread

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PANELS = "[data-panel]:not(.curves *)"
# Milliseconds from the event to the frame after the last drawing.
WATCH = """(panels) => {
  const restart = (event) => (window.seen = { began: event.timeStamp, ended: null });
  addEventListener("input", restart, true);
  document.querySelectorAll(panels).forEach((plot) =>
    ["plotly_afterplot", "plotly_relayout"].forEach((name) => plot.on(name, () => {
      const { seen } = window;
      requestAnimationFrame(() => setTimeout(() => (seen.ended = performance.now())));
    })),
  );
}"""
SETTLE = 1500
"""Milliseconds after which everything is drawn, and the kernel's numbers have come."""


@contextmanager
def served() -> Iterator[str]:
    """Address of the explorer, served by Voila on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", "notebooks/explore.ipynb", "--no-browser"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, f"--port={port}"], cwd=ROOT, env=env, **quiet)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}static/favicon.ico").close()
                break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait()


def measured(tab: Any, act: Callable[[int], object], times: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the redrawn figure, and those of the main thread."""
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        found = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(one["value"] for one in found if one["name"] == "TaskDuration")

    redrawn, work = [], []
    for number in range(times):
        before = busy()
        act(number)
        tab.wait_for_timeout(SETTLE)
        tab.wait_for_function("window.seen.ended !== null")
        redrawn.append(tab.evaluate("seen.ended - seen.began"))
        work.append(busy() - before)
    return redrawn, work


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    chromium = next(filter(None, map(shutil.which, BROWSERS)))
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(OPTIONS))
        tab = browser.new_page(viewport={"width": 1200, "height": 1600})
        tab.set_default_timeout(120_000)
        tab.goto(address)
        tab.wait_for_selector("[data-panel=difference] .main-svg", state="attached")
        tab.wait_for_timeout(2 * SETTLE)
        tab.evaluate(WATCH, PANELS)
        slider, right = (tab.locator(f"[name={name}]") for name in ("threshold", "right"))
        networks = right.evaluate("select => select.options.length")
        keys = ("ArrowRight", "ArrowLeft")
        cases = {
            "key press": lambda number: slider.press(keys[number // 5 % 2]),
            "another network": lambda number: right.select_option(index=number % networks),
        }
        rows = []
        for name, act in cases.items():
            redrawn, work = measured(tab, act, times)
            row = {"case": name, "target (ms)": 100, "redrawn (ms)": median_spread(redrawn)}
            rows.append(row | {"main thread (ms)": median_spread(work)})
        browser.close()
    print(f"{machine()}; {times} times; load {os.getloadavg()[0]:.1f}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
