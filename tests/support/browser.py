"""A real browser without a window: opens a page of the disk, asks it questions, and gives back its answers."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars", "--virtual-time-budget=3000",
)  # fmt: skip

# What goes wrong while the page loads must be heard from its very beginning.
LISTEN = """<script>
const heard = [];
addEventListener("error", (event) => heard.push(String(event.message || event.target.outerHTML)), true);
addEventListener("securitypolicyviolation", (event) => heard.push(`refused ${event.blockedURI}`));
</script>"""
ASK = """<script>
addEventListener("load", () => {
  let answer;
  try { answer = (() => { QUESTION })(); } catch (error) { heard.push(String(error)); }
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name.slice(0, 40));
  parent.postMessage(JSON.stringify({ answer, heard, loaded }), "*");
});
</script>"""
# A window has a least width; a frame in it can be as narrow as a phone.
FRAME = """<!DOCTYPE html><body style="margin:0"><pre id="answer"></pre><script>
addEventListener("message", (event) => {
  document.querySelector("#answer").textContent = btoa(encodeURIComponent(event.data));
});
</script><iframe src="ADDRESS" width="WIDTH" height="HEIGHT" style="border:0"></iframe></body>"""


@dataclass(frozen=True)
class Visit:
    """What came of a visit: the answer, errors on the page, what it loaded, and what the browser logged of it."""

    answer: Any
    errors: list[str]
    loaded: list[str]
    console: list[str]


def visit(page: Path, question: str, size: tuple[int, int], *, fragment: str = "", dark: bool = False) -> Visit:
    """Opens a copy of a page and runs the body of a function in it.

    Args:
        page: the HTML file.
        question: JavaScript that returns what JSON can hold.
        size: of the window in pixels.
        fragment: of the address, after `#`.
        dark: whether the user prefers dark colours.
    """
    assert PROGRAM is not None
    asked, frame = page.with_suffix(".asked.html"), page.with_suffix(".frame.html")
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{LISTEN}", 1)
    asked.write_text(text.replace("</body>", f"{ASK.replace('QUESTION', question)}</body>"), encoding="utf-8")
    width, height = map(str, size)
    address = f"{asked.as_uri()}#{fragment}"
    frame.write_text(FRAME.replace("ADDRESS", address).replace("WIDTH", width).replace("HEIGHT", height))
    command = [PROGRAM, *FLAGS, f"--user-data-dir={page.parent / f'profile-{width}'}", "--window-size=1400,1000"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="answer">([^<]+)</pre>', done.stdout)
    assert found, done.stderr
    told = json.loads(urllib.parse.unquote(base64.b64decode(found[1]).decode()))
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(told.get("answer"), told["heard"], told["loaded"], console)
