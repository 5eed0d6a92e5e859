"""The documentation as a site: every page is in it and found from its index, and every link in it leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("**/*.md"), *(ROOT / "deploy").glob("**/*.md"), *ROOT.glob("examples/*/*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE_OF_OURS = re.compile(r"\b(?:native|user_state|transforms|beam_pipelines|bench|tests|avro)/[\w./-]*\w(?![\w*/])")


def hooks() -> ModuleType:
    found = importlib.util.spec_from_file_location("site_hooks", DOCS / "site_hooks.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def in_nav() -> list[str]:
    """Return the pages of mkdocs.yml's nav, in order."""

    def leaves(nav: Any) -> Iterator[str]:
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from [one] if isinstance(one, str) else leaves(one)

    return list(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


def text_without_code(page: Path) -> str:
    """Return a page without its code, in which brackets are no links."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (path, anchor) of each link that stays in the repository; the path is "" within the page."""
    for target in LINK.findall(text_without_code(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings that GitHub and mkdocs both make."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = [heading.replace("`", "") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {_githubs(heading) for heading in headings} & {_mkdocs(heading) for heading in headings}


def _githubs(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _mkdocs(heading: str) -> str:
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def test_every_page_is_in_the_nav_once():
    elsewhere = hooks().ELSEWHERE
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("**/*.md")}
    assert sorted(in_nav()) == sorted(written | set(elsewhere.values()))
    assert {page.relative_to(ROOT).as_posix() for page in PAGES if DOCS not in page.parents} == set(elsewhere)


def test_the_index_links_to_every_page():
    script = hooks()
    linked = {script.in_site(script.in_repository("index.md", path)) for path, _ in links(DOCS / "index.md")}
    assert [page for page in in_nav() if page not in linked | {"index.md"}] == []


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading():
    broken = []
    for page in PAGES:
        for path, anchor in links(page):
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {path}#{anchor}")
    assert broken == []
    found = [(path, anchor) for page in PAGES for path, anchor in links(page)]
    assert len(found) > 100
    assert len([anchor for _, anchor in found if anchor]) > 20


def test_every_file_of_ours_that_a_page_names_is_there():
    named = {
        (page, name)
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for name in FILE_OF_OURS.findall(page.read_text("utf-8"))
    }
    assert [f"{page.relative_to(ROOT)}: {name}" for page, name in sorted(named) if not (ROOT / name).exists()] == []
    assert len(named) > 150


def test_links_out_of_the_folder_lead_to_pages_and_copies_of_the_site():
    script = hooks()
    text = (
        "[a](../README.md#x) [b](../examples/starter/user_state.yaml) [c](../tests/store) [d](spec.md) [e](https://x.y)"
    )
    assert script.rewritten("index.md", text) == (
        "[a](readme.md#x) [b](files/examples/starter/user_state.yaml) c [d](spec.md) [e](https://x.y)"
    )
    assert (
        script.rewritten("design/layers.md", "[n](native.md) [r](../../README.md)")
        == "[n](native.md) [r](../readme.md)"
    )
    assert script.rewritten("deploy/kubernetes.md", "[f](../../docs/flink.md)") == "[f](../flink.md)"


def test_no_list_begins_in_the_middle_of_a_paragraph():
    """GitHub would show a list there, mkdocs goes on with the paragraph."""
    glued = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        glued += [
            f"{page.relative_to(ROOT)}: {found[0]!r}"
            for found in re.finditer(r"^(?![-*|#\s]|\d+\. )\S.*\n(?:[-*]|\d+\.) \S.*$", text, re.MULTILINE)
        ]
    assert glued == []


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: it comes with user-state[docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    built = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("**/*.html")}
    assert {page.replace(".md", ".html") for page in in_nav()} <= built
    for page in tmp_path.glob("**/*.html"):
        assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//', page.read_text("utf-8")) == []
