"""`tuneway docs`: a whole site, the same in both languages, that needs nothing from outside."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cli.docs_site import LANGUAGES, MARKER, slug, write_site
from cli.texts import TEXTS
from contracts.errors import ConflictError, InvalidDataError
from contracts.pipeline import FinetuneRequest
from tests.cli.command_line import ROOT, tuneway

ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)")
PAGES = [
    path
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "demo" / "README.md"]
    if path.relative_to(ROOT).parts[:2] != ("docs", "manual")
]


class Links(HTMLParser):
    """What a page loads, where it leads, and the places within it that others may lead to."""

    def __init__(self, text) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.followed: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a":
            self.followed.append(given["href"])
        else:
            self.loaded += [value for name, value in given.items() if name in {"href", "src", "data-index"}]
        if "id" in given:
            self.ids.add(given["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, by the command itself."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = tuneway("docs", "--directory", str(folder))
    assert done.returncode == 0, done.stderr
    assert str(folder / "index.html") in done.stderr.replace("\n", "")
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Links(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_the_repository_is_in_both_languages(site):
    def places(language):
        return {path.relative_to(site / language) for path in (site / language).rglob("*.html")}

    assert places("ko") == places("en")
    assert len(places("ko")) > 70
    for page in PAGES:
        inside = page.relative_to(ROOT / "docs") if page.is_relative_to(ROOT / "docs") else page.relative_to(ROOT)
        name = "readme.html" if inside.parts in {("README.md",), ("README.ko.md",)} else inside.with_suffix(".html")
        assert Path(name) in places("ko"), page


def test_every_link_leads_to_a_page_and_a_place_of_the_site(site, pages):
    assert len(pages) > 140
    for path, page in pages.items():
        for link in [*page.followed, *page.loaded]:
            if ELSEWHERE.match(link):
                continue
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_relative_to(site), (path, link)
            assert target.is_file(), (path, link)
            if parts.fragment:
                assert unquote(parts.fragment) in pages[target].ids, (path, link)


def test_nothing_is_loaded_from_elsewhere(site, pages):
    assert [link for page in pages.values() for link in page.loaded if ELSEWHERE.match(link)] == []
    for path in [site / "style.css", site / "search.js"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(|https?:|fetch\(|XMLHttpRequest", text), path


def test_the_manual_has_the_same_pages_headings_pictures_and_commands_in_both_languages():
    def shape(path):
        text = path.read_text(encoding="utf-8")
        return (
            re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE),
            # a picture of a page in one language has its like in the other
            re.sub(r"-(?:ko|en)(?=\.png)", "", " ".join(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text))),
            [
                len(block.strip().splitlines())
                for block in re.findall(r"```(?:sh|json)[^\n]*\n(.*?)```", text, re.DOTALL)
            ],
            len(re.findall(r"^\|", text, flags=re.MULTILINE)),
        )

    found = {
        language: {path.name: path for path in (ROOT / "docs" / "manual" / language).glob("*.md")}
        for language in LANGUAGES
    }
    assert set(found["ko"]) == set(found["en"])
    assert {
        "README.md", "dataset.md", "fine_tune.md", "evaluate.md", "ab_test.md", "troubleshooting.md", "operations.md",
    } <= set(found["ko"])  # fmt: skip
    for name, korean in found["ko"].items():
        assert shape(korean) == shape(found["en"][name]), name


def test_a_page_of_two_languages_shows_each_reader_the_own_one(site):
    korean = (site / "ko" / "runbooks" / "CardHot.html").read_text(encoding="utf-8")
    english = (site / "en" / "runbooks" / "CardHot.html").read_text(encoding="utf-8")
    assert "서버실의 냉방" in korean
    assert "Look at cooling" not in korean
    assert "Look at cooling" in english
    assert "서버실의 냉방" not in english


def test_a_link_to_the_other_languages_section_leads_to_it(tmp_path):
    root = small_repository(tmp_path, "# Training\n\n[one server](serving.md#one-server)\n")
    (root / "docs" / "serving.md").write_text(
        "# S\n\n## 한국어\n\n### 서버 한 대\n\n## English\n\n### One server\n", "utf-8"
    )
    write_site(root, tmp_path / "site")
    for language in LANGUAGES:
        page = (tmp_path / "site" / language / "training.html").read_text(encoding="utf-8")
        assert f'href="{"../en/" if language == "ko" else ""}serving.html#one-server"' in page


def test_every_section_can_be_found(site):
    index = (site / "search-ko.js").read_text(encoding="utf-8")
    assert index.startswith("window.TUNEWAY_SECTIONS = [")
    assert "ab_testing.html#" in index
    assert "TUNEWAY_MIN_FREE_DISK_GB" in index


def test_a_heading_has_the_address_that_github_gives_it():
    assert slug("Quality, toxicity, bias") == "quality-toxicity-bias"
    assert slug("판정은 다섯 가지입니다") == "판정은-다섯-가지입니다"
    assert slug("`safety`: 140 questions") == "safety-140-questions"


def small_repository(tmp_path, page):
    """As much of a repository as a site takes."""
    for name in ("page.html", "style.css", "search.js", "navigation.toml"):
        target = tmp_path / "docs" / "site" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / "docs" / "site" / name).read_bytes())
    for language in LANGUAGES:
        start = tmp_path / "docs" / "manual" / language / "README.md"
        start.parent.mkdir(parents=True)
        start.write_text("# Start\n", encoding="utf-8")
    (tmp_path / "docs" / "training.md").write_text(page, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "link", ["gone.md", "images/gone.png", "manual/en/README.md#gone", "#gone", "../../etc/passwd"]
)
def test_a_link_that_leads_nowhere_is_told_with_its_page(tmp_path, link):
    root = small_repository(tmp_path, f"# Training\n\n[there]({link})\n")
    with pytest.raises(InvalidDataError, match=r"docs/training\.md"):
        write_site(root, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_page_cannot_bring_in_html_of_its_own(tmp_path):
    root = small_repository(
        tmp_path, "# Training\n\n<script src=http://x.example/y.js></script> ![p](http://x.example/p.png)\n"
    )
    with pytest.raises(InvalidDataError, match=r"x\.example"):
        write_site(root, tmp_path / "site")
    root.joinpath("docs", "training.md").write_text("# Training\n\n<script>1</script>\n", encoding="utf-8")
    write_site(root, tmp_path / "site")
    assert "<script>1" not in (tmp_path / "site" / "en" / "training.html").read_text(encoding="utf-8")


def test_the_same_pages_give_the_same_bytes_and_a_folder_of_something_else_stays(tmp_path):
    root = small_repository(tmp_path / "repository", "# Training\n\n## One\n\n## One\n")
    write_site(root, tmp_path / "site")
    first = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    (tmp_path / "site" / "old.html").write_text("of an earlier version", encoding="utf-8")
    write_site(root, tmp_path / "site")
    again = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert again == first
    assert b'id="one-1"' in first[Path("site/en/training.html")]

    (tmp_path / "site" / MARKER).unlink()
    with pytest.raises(ConflictError, match="something else"):
        write_site(root, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_manual_prints_bold_is_what_pages_and_forms_are_called(language):
    words = tomllib.loads((ROOT / "dashboard" / "locales" / f"{language}.toml").read_text(encoding="utf-8"))
    texts = [text for section in words.values() for text in section.values()]
    texts += [field.title for field in FinetuneRequest.model_fields.values() if field.title]
    texts += [TEXTS[key][LANGUAGES.index(language)] for key in TEXTS if key.startswith("doctor.")]
    # `{arm}` and the like stand for any word, and what follows a bracket or a colon may be left out
    known = [
        re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(text)) + r"|" + re.escape(re.split(r" ?[(:]", text)[0]))
        for text in texts
    ]
    unknown = {
        (path.name, name)
        for path in (ROOT / "docs" / "manual" / language).glob("*.md")
        for name in re.findall(r"\*\*([^*]+)\*\*", path.read_text(encoding="utf-8").replace("\n", " "))
        if not name.endswith(".") and not any(text.fullmatch(name) for text in known)
    }
    assert unknown == set()
