"""What mkdocs does besides rendering docs/: pages that stand elsewhere in the repository, and links out of docs/.

    ELSEWHERE     becomes pages of the site, at the places on the right
    other files   that a page links to, such as an example's YAML, are copied into the site beside the pages
    folders       that a page links to have no page: the link becomes its text

mkdocs calls the functions that begin with `on_`; mkdocs.yml names this file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/README.md": "deploy/readme.md",
    "deploy/compose/README.md": "deploy/compose.md",
    "deploy/dataflow/README.md": "deploy/dataflow.md",
    "deploy/kubernetes/README.md": "deploy/kubernetes.md",
    "examples/sequence_models/README.md": "examples/sequence-models.md",
    "examples/shop/README.md": "examples/shop.md",
}
FILES = "files"
"""The folder of the site that holds copies of what is no page."""
LINK = re.compile(r"(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that stand elsewhere, and the files that any page links to."""
    from mkdocs.structure.files import File

    for source, at in ELSEWHERE.items():
        files.append(File.generated(config, at, content=(ROOT / source).read_text("utf-8")))
    pages = [file for file in files if file.is_documentation_page()]
    for target in sorted({one for page in pages for one in linked_files(page.src_uri, page.content_string)}):
        files.append(File.generated(config, f"{FILES}/{target}", content=(ROOT / target).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have the links of a page lead to where their targets are in the site."""
    return rewritten(page.file.src_uri, markdown)


def rewritten(page: str, markdown: str) -> str:
    """Return a page's Markdown with each link out of docs/ changed.

    Args:
        page: where the page is in the site.
        markdown: its text, with links as they are right in the repository.

    >>> rewritten("spec.md", "[the README](../README.md#the-spec), [a whole one](../examples/feed/user_state.yaml)")
    '[the README](readme.md#the-spec), [a whole one](files/examples/feed/user_state.yaml)'
    >>> rewritten("contributing.md", "[layers](docs/design/layers.md), [tests](tests/store)")
    '[layers](design/layers.md), tests'
    """

    def moved(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        at = in_repository(page, target)
        if (ROOT / at).is_dir():
            return text[1:-1]
        here = posixpath.dirname(page) or "."
        return f"{text}({posixpath.relpath(in_site(at), here)}{anchor})"

    return LINK.sub(moved, markdown)


def linked_files(page: str, markdown: str) -> set[str]:
    """Return the files outside docs/ that a page links to and that are no pages, as paths in the repository."""
    targets = {in_repository(page, link[2]) for link in LINK.finditer(markdown)}
    return {
        one
        for one in targets
        if one not in ELSEWHERE and not one.startswith(("docs/", "..")) and (ROOT / one).is_file()
    }


def in_repository(page: str, target: str) -> str:
    """Return the path in the repository that a link of a page means."""
    source = next((source for source, at in ELSEWHERE.items() if at == page), f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def in_site(path: str) -> str:
    """Return where a file of the repository is in the site."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{FILES}/{path}"
