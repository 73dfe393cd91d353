"""The documentation's Markdown as HTML: one tree of pages a language, a search, and nothing that is not in the folder.

A page exists in both trees under the same name. What is written once in each language (`docs/manual/ko`, `docs/manual/en`,
`README.ko.md`, `README.md`) goes into its own; of a page with the sections `한국어` and `English` each tree has its own
section; every other page is in both as it is, and the Korean one says that it exists in English only.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from html import escape
from os.path import relpath
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from markdown_it import MarkdownIt

from cli.texts import translate
from contracts.errors import ConflictError, InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

LANGUAGES = ("ko", "en")
SECTION_OF = {"한국어": "ko", "English": "en"}
"""Headings of the second level under which a page says the same in one language each."""
MARKER = "made-by-tuneway-docs"
"""A file in every folder that holds a site, and may therefore be made anew."""
FILES = "files"
"""Folder of pictures and other files that pages refer to."""
NOT_RUN = "not-run"
"""Word after a code block's language: no test runs what stands there."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of one tree."""

    source: Path
    """Relative to the repository."""
    place: str
    """Relative to the tree: `data/import.html`."""
    language: str
    title: str
    tokens: list[Token] = field(repr=False)
    is_foreign: bool
    """It is in another language than the tree."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the navigation."""

    title: str
    pages: list[Page]


def write_site(root: Path, directory: Path) -> int:
    """Make the site of the repository `root` and return how many pages it has. The folder appears whole or not at all.

    Raises ConflictError where the folder holds something else, and InvalidDataError where a page refers to what is not there.
    """
    if directory.is_dir() and any(directory.iterdir()) and not (directory / MARKER).exists():
        raise ConflictError(
            "The folder holds something else than a documentation site",
            value=directory,
            allowed="a folder that does not exist, is empty, or was made by `tuneway docs`",
            next_step="name another folder",
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as work:
        made = Path(work) / "new"
        count = _make(root, made)
        if directory.exists():
            directory.rename(Path(work) / "old")
        made.chmod(0o755)
        made.rename(directory)
    return count


def read_sections(root: Path, language: str) -> list[Section]:
    """The navigation of one tree, in the order of `docs/site/navigation.toml`."""
    order = tomllib.loads((root / "docs" / "site" / "navigation.toml").read_text(encoding="utf-8"))
    markdown = _markdown()
    taken: set[str] = set()
    sections = []
    for wanted in order["section"]:
        pages = []
        for pattern in wanted["pages"]:
            for path in sorted(root.glob(pattern.format(language=language))):
                source = path.relative_to(root)
                place, own_language = _place(source)
                if place in taken or own_language not in {None, language}:
                    continue
                taken.add(place)
                pages.append(_read_page(root, source, place, language, own_language, order["korean"], markdown))
        if pages:
            sections.append(Section(wanted[language], pages))
    return sections


def _place(source: Path) -> tuple[str, str | None]:
    """Where a source's page lies in a tree, and the language of a source that has only one."""
    parts = source.parts
    if parts[:2] == ("docs", "manual"):
        name = "index" if source.stem == "README" else source.stem
        return (f"{name}.html" if name == "index" else f"manual/{name}.html"), parts[2]
    if source.name in {"README.md", "README.ko.md"} and len(parts) == 1:
        return "readme.html", "ko" if source.name == "README.ko.md" else "en"
    inside = source.relative_to("docs") if parts[0] == "docs" else source
    return inside.with_suffix(".html").as_posix(), None


def _read_page(
    root: Path,
    source: Path,
    place: str,
    language: str,
    own_language: str | None,
    korean: dict[str, str],
    markdown: MarkdownIt,
) -> Page:
    tokens = markdown.parse((root / source).read_text(encoding="utf-8"))
    headings = [_text(tokens[n + 1]) for n, token in enumerate(tokens) if token.type == "heading_open"]
    title = headings[0] if headings else source.stem
    is_in_both = set(SECTION_OF) <= set(headings)
    if is_in_both:
        tokens = _in_one_language(tokens, language)
        title = title.split(" · ")[0 if language == "ko" else -1]
    is_foreign = language == "ko" and own_language is None and not is_in_both
    if is_foreign:
        title = korean.get(source.as_posix(), title)
    _name_headings(tokens)
    return Page(source, place, language, title, tokens, is_foreign)


def _in_one_language(tokens: Sequence[Token], language: str) -> list[Token]:
    """Without the other language's section; this one's headings move up by a level, as its own heading is left out."""
    kept: list[Token] = []
    section: str | None = None
    skipped = 0
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            section = SECTION_OF.get(_text(tokens[number + 1]))
            skipped = 3 if section else 0
        if section not in {None, language}:
            continue
        if skipped:
            skipped -= 1
            continue
        if section == language and token.type in {"heading_open", "heading_close"} and token.tag > "h2":
            token.tag = f"h{int(token.tag[1]) - 1}"
        kept.append(token)
    return kept


def _name_headings(tokens: Sequence[Token]) -> None:
    """An id for each heading, formed as GitHub forms it, so that links work in both places."""
    seen: Counter[str] = Counter()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            name = slug(_text(tokens[number + 1]))
            token.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1


def slug(heading: str) -> str:
    """The address of a heading within its page: `The keys: who has them?` is `the-keys-who-has-them`."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _text(inline: Token) -> str:
    """A heading or paragraph without its marks."""
    return "".join(
        child.content if child.type in {"text", "code_inline"} else " "
        for child in inline.children or []
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    )


def _make(root: Path, out: Path) -> int:
    trees = {language: read_sections(root, language) for language in LANGUAGES}
    template = Template((root / "docs" / "site" / "page.html").read_text(encoding="utf-8"))
    used: set[Path] = set()
    count = 0
    for language, sections in trees.items():
        pages = [page for section in sections for page in section.pages]
        translations = {page.place: page for section in trees[_other(language)] for page in section.pages}
        links = _Links(root, {page.source: page for page in pages}, translations, used)
        for number, page in enumerate(pages):
            target = out / language / page.place
            target.parent.mkdir(parents=True, exist_ok=True)
            links.rewrite(page)
            around = (pages[number - 1] if number else None, pages[number + 1] if number + 1 < len(pages) else None)
            target.write_text(_html(template, page, sections, around, page.place in translations), encoding="utf-8")
        index = json.dumps([part for page in pages for part in _searched(page)], ensure_ascii=False)
        (out / f"search-{language}.js").write_text(f"window.TUNEWAY_SECTIONS = {index};\n", encoding="utf-8")
        count += len(pages)
    for name in ("style.css", "search.js"):
        shutil.copyfile(root / "docs" / "site" / name, out / name)
    for source in sorted(used):
        target = out / FILES / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / source, target)
    (out / "index.html").write_text(_first_page(), encoding="utf-8")
    (out / MARKER).write_text("", encoding="utf-8")
    return count


def _other(language: str) -> str:
    return LANGUAGES[1 - LANGUAGES.index(language)]


def _first_page() -> str:
    links = " · ".join(
        f'<a href="{language}/index.html" lang="{language}">{translate("docs.name", language)}</a>'
        for language in LANGUAGES
    )
    return (
        '<!doctype html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Tuneway</title>\n'
        '<meta http-equiv="refresh" content="0; url=ko/index.html">\n<link rel="stylesheet" href="style.css">\n'
        f"</head>\n<body>\n<main>\n<h1>Tuneway</h1>\n<p>{links}</p>\n</main>\n</body>\n</html>\n"
    )


class _Links:
    """Where the links of a tree's pages lead."""

    def __init__(self, root: Path, pages: dict[Path, Page], translations: dict[str, Page], used: set[Path]) -> None:
        self._root = root
        self._pages = pages
        self._translations = translations
        self._used = used

    def rewrite(self, page: Page) -> None:
        """Make the page's links and pictures lead to what the site has of them."""
        for token in page.tokens:
            for child in token.children or []:
                name = {"link_open": "href", "image": "src"}.get(child.type)
                if name is not None:
                    child.attrSet(name, self._target(page, str(child.attrGet(name)), is_picture=child.type == "image"))

    def _target(self, page: Page, link: str, *, is_picture: bool) -> str:
        """The same address from the page's place in the site."""
        if re.match(r"[a-z][a-z0-9+.-]*:", link) and not is_picture:
            return link
        path, _, anchor = unquote(link).partition("#")
        suffix = f"#{quote(anchor)}" if anchor else ""
        source = Path(relpath(self._root / page.source.parent / path, self._root)) if path else page.source
        found = self._page_of(source)
        if found is not None:
            if anchor:
                found = self._with_heading(page, found, anchor)
            if found is page:
                return suffix
            there = Path(found.language) / found.place
        elif (self._root / source).is_file() and ".." not in source.parts:
            self._used.add(source)
            there = Path(FILES) / source
        else:
            raise InvalidDataError(
                "A page of the documentation refers to what is not there",
                value=f"{link} in {page.source}",
                allowed="pages, pictures and files of the repository, as paths relative to the page",
                next_step="correct the link, or add what it names",
            )
        return quote(Path(relpath(there, (Path(page.language) / page.place).parent)).as_posix()) + suffix

    def _page_of(self, source: Path) -> Page | None:
        """The tree's page of a source: itself, its translation, or the first one of a folder."""
        if source in self._pages:
            return self._pages[source]
        if source.suffix == ".md":
            place, _ = _place(source)
            return next((page for page in self._pages.values() if page.place == place), None)
        return min(
            (page for page in self._pages.values() if source in page.source.parents),
            key=lambda page: page.source,
            default=None,
        )

    def _with_heading(self, page: Page, found: Page, anchor: str) -> Page:
        """The page with that heading: `found`, or, where only the other language's section has it, that one."""
        translation = self._translations.get(found.place)
        for candidate in (found, translation):
            if candidate is not None and anchor in _headings(candidate):
                return candidate
        raise InvalidDataError(
            "A page of the documentation refers to a heading that is not there",
            value=f"{found.source}#{anchor} in {page.source}",
            allowed=", ".join(_headings(found)),
            next_step="correct the part of the link after #",
        )


def _headings(page: Page) -> list[str]:
    return [str(token.attrGet("id")) for token in page.tokens if token.type == "heading_open"]


def _html(
    template: Template,
    page: Page,
    sections: Sequence[Section],
    around: tuple[Page | None, Page | None],
    has_translation: bool,
) -> str:
    def text(key: str) -> str:
        return escape(translate(f"docs.{key}", page.language))

    here = (Path(page.language) / page.place).parent
    other = _other(page.language)
    elsewhere = page.place if has_translation else "index.html"
    note = f'<p class="note">{text("english_only")}</p>\n' if page.is_foreign else ""
    body = _markdown().renderer.render(page.tokens, _markdown().options, {"language": page.language})
    return template.substitute(
        language=page.language,
        title=escape(page.title),
        root=_up(Path(), here),
        tree=_up(Path(page.language), here),
        skip=text("skip"),
        search=text("search"),
        search_hint=text("search_hint"),
        search_none=text("search_none"),
        contents=text("contents"),
        other_language=other,
        other_name=escape(translate("docs.name", other)),
        other_href=quote(Path(relpath(Path(other) / elsewhere, here)).as_posix()),
        navigation=_navigation(page, sections),
        note=note,
        body=body,
        steps="".join(
            f'<a rel="{rel}" href="{_href(page, step)}">{text(name)}: {escape(step.title)}</a>'
            if step
            else "<span></span>"
            for rel, name, step in (("prev", "previous", around[0]), ("next", "next", around[1]))
        ),
    )


def _up(target: Path, here: Path) -> str:
    """The way from a page's folder to a folder of the site, ready to be continued."""
    way = Path(relpath(target, here)).as_posix()
    return "" if way == "." else f"{way}/"


def _href(page: Page, to: Page) -> str:
    return quote(Path(relpath(to.place, Path(page.place).parent)).as_posix())


def _navigation(page: Page, sections: Sequence[Section]) -> str:
    lines = []
    for section in sections:
        state = " open" if page in section.pages else ""
        lines.append(f"<details{state}><summary>{escape(section.title)}</summary><ul>")
        for entry in section.pages:
            current = ' aria-current="page"' if entry is page else ""
            lines.append(f'<li><a href="{_href(page, entry)}"{current}>{escape(entry.title)}</a></li>')
        lines.append("</ul></details>")
    return "\n".join(lines)


def _searched(page: Page) -> list[list[str]]:
    """What the search looks at, a section at a time: place, page, heading, text."""
    parts = [[page.place, page.title, page.title, ""]]
    texts: list[list[str]] = [[]]
    for number, token in enumerate(page.tokens):
        if token.type == "heading_open" and token.tag != "h1":
            heading = _text(page.tokens[number + 1])
            parts.append([f"{page.place}#{quote(str(token.attrGet('id')))}", page.title, heading, ""])
            texts.append([])
        elif token.type == "inline" and page.tokens[number - 1].type != "heading_open":
            texts[-1].append(_text(token))
        elif token.type in {"fence", "code_block"}:
            texts[-1].append(token.content)
    return [[*part[:3], " ".join(" ".join(text).split())] for part, text in zip(parts, texts, strict=True)]


@cache
def _markdown() -> MarkdownIt:
    """Markdown as GitHub shows it, with no HTML of the pages' own."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("heading_close", _heading_close)
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return markdown


def _heading_close(renderer: Any, tokens: Sequence[Token], number: int, options: Any, env: Any) -> str:
    tag, name = tokens[number].tag, tokens[number - 2].attrGet("id")
    if tag not in {"h2", "h3"}:
        return f"</{tag}>\n"
    label = escape(translate("docs.here", env["language"]))
    return f'<a class="here" href="#{quote(str(name))}" aria-label="{label}">#</a></{tag}>\n'


def _fence(renderer: Any, tokens: Sequence[Token], number: int, options: Any, env: Any) -> str:
    block = f"<pre><code>{escape(tokens[number].content)}</code></pre>\n"
    if NOT_RUN not in tokens[number].info.split():
        return block
    return f'{block}<p class="not-run">{escape(translate("docs.not_run", env["language"]))}</p>\n'
