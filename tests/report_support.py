"""What a browser and a parser find in a report."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing may be fetched: a proxy that does not exist makes every attempt an error.
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--no-first-run",
    "--proxy-server=http://127.0.0.1:9", "--virtual-time-budget=5000",
)  # fmt: skip
VOID = {"meta", "img", "br", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script> & 50% $x$ \\input{secret}"


class Page(HTMLParser):
    """Checks that tags are balanced and collects what a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        self.sources += [
            values[name] for name in ("src", "srcset", "data", "poster") if name in values
        ]
        self.links += [values["href"]] if "href" in values else []
        self.ids += [values["id"]] if "id" in values else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        if tag == "img":
            assert values["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def browser():
    """Path of a Chromium, or skip the test."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the path")
    return found


def _run(program, *arguments):
    return subprocess.run(
        [program, *OPTIONS, *arguments], capture_output=True, text=True, check=True, timeout=120
    )


def console(program, page):
    """Messages of the console, which include refused and failed requests."""
    result = _run(program, "--enable-logging=stderr", "--dump-dom", page.as_uri())
    return [line for line in result.stderr.splitlines() if ":CONSOLE" in line]


def measured(program, page, folder, *, width):
    """Size of the page in a frame as wide as a phone, and what sticks out of it."""
    harness = folder / "harness.html"
    harness.write_text(
        f"""<!DOCTYPE html><body style="margin:0">
<iframe id="frame" src="{page.as_uri()}" style="width:{width}px;height:800px;border:0"></iframe>
<pre id="found"></pre><script>
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const scrolled = ".scroll, pre, .manifest, .skip, .hidden";
  const outside = [...page.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > {width} + 1 && !e.closest(scrolled)
  );
  const images = [...page.images];
  found.textContent = JSON.stringify({{
    clientWidth: root.clientWidth, scrollWidth: root.scrollWidth,
    outside: outside.map((e) => e.outerHTML.slice(0, 80)),
    images: images.length, broken: images.filter((i) => !i.naturalWidth).length,
  }});
}};
</script>"""
    )
    result = _run(
        program, "--allow-file-access-from-files", "--window-size=900,900", "--dump-dom",
        harness.as_uri(),
    )  # fmt: skip
    text = re.search(r'<pre id="found">(.*?)</pre>', result.stdout, re.DOTALL).group(1)
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def pdf_of(program, page, target):
    """The page as printed."""
    _run(program, "--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
    return target.read_bytes()
