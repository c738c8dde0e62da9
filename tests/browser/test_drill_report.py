"""The drill report in a browser: no sideways scrolling on a phone, its style sheet applied, and words that can be read.

The page has no scripts, so another page holds it in a frame and measures it there.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chaos.report.html import page
from tests.chaos.sample_report import sample

CHROMIUM = "/usr/bin/chromium"
MEASURE = """
const linear = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => { const [r, g, b] = parts(colour).map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const clear = (colour) => parts(colour)[3] === 0;
const ground = (view, at) => {
  while (at.parentElement && clear(view.getComputedStyle(at).backgroundColor)) at = at.parentElement;
  return view.getComputedStyle(at).backgroundColor;
};
onload = () => {
  const frame = document.querySelector("iframe"), view = frame.contentWindow, root = frame.contentDocument.documentElement;
  for (const each of root.querySelectorAll("details")) each.open = true;
  const pale = [];
  for (const each of root.querySelectorAll("body *:not(svg, svg *)")) {
    if (![...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [light(view.getComputedStyle(each).color), light(ground(view, each))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) pale.push(each.tagName + "." + each.className + " " + each.textContent);
  }
  const body = view.getComputedStyle(frame.contentDocument.body);
  const found = { width: root.clientWidth, scroll: root.scrollWidth, paper: body.backgroundColor, pale };
  document.body.innerHTML = "<pre>" + JSON.stringify(found).replace(/[&<]/g, "") + "</pre>";
};
"""


def measured(folder: Path, width: int, *, dark: bool) -> dict[str, Any]:
    """What the frame's document says of itself at this width."""
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{html.escape(page(sample(), sample()))}"></iframe>'
    (folder / "frame.html").write_text(
        f"<!doctype html><meta charset=utf-8><script>{MEASURE}</script><body>{frame}</body>"
    )
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", f"--user-data-dir={folder}/profile",
        f"--blink-settings=preferredColorScheme={int(not dark)}", "--virtual-time-budget=5000", "--dump-dom", f"file://{folder}/frame.html",
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<body><pre>(.*)</pre>", dom, re.DOTALL)
    assert found, dom[-2000:]
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_its_window_and_every_word_has_the_contrast_of_wcag_aa(tmp_path, width, dark):
    found = measured(tmp_path, width, dark=dark)
    assert found["paper"] == ("rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)")
    assert found["width"] > width - 20
    assert found["scroll"] <= found["width"]
    assert found["pale"] == []
