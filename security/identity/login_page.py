"""The login page of every program: one file without a script, Korean or English, light or dark as the reader's system is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIN_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}
STYLES = """
:root { color-scheme: light dark; --back: #f4f6f9; --card: #fff; --text: #1d2430; --quiet: #5b6472; --line: #c9d0da;
        --key: #2f6fde; --on-key: #fff; --bad: #b23a14; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12161d; --card: #1b212b; --text: #e4e8ee; --quiet: #a3acb9; --line: #3a4453; --key: #6ea0ff;
          --on-key: #0f1520; --bad: #ff9a76; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.2rem; background: var(--back);
       color: var(--text); font: 15px/1.55 Pretendard, "Noto Sans KR", "Noto Sans CJK KR", "Malgun Gothic",
       "Apple SD Gothic Neo", sans-serif; word-break: keep-all; overflow-wrap: anywhere; }
main { width: 100%; max-width: 24rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
       padding: 1.6rem 1.6rem 1.3rem; }
header { display: flex; align-items: center; gap: .6rem; }
header img { width: 1.9rem; height: 1.9rem; }
header span { font-weight: 700; font-size: 1.1rem; flex: 1; }
h1 { font-size: 1.3rem; margin: 1.1rem 0 .2rem; }
p { margin: .3rem 0 .9rem; color: var(--quiet); }
label { display: block; margin: .7rem 0 .25rem; font-weight: 600; }
input { width: 100%; font: inherit; padding: .55rem .65rem; border: 1px solid var(--line); border-radius: .4rem;
        background: var(--back); color: var(--text); }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--key); outline-offset: 2px; }
button, .key { display: block; width: 100%; margin-top: 1.1rem; padding: .6rem; font: inherit; font-weight: 650; border: 0;
               border-radius: .4rem; background: var(--key); color: var(--on-key); cursor: pointer; text-align: center;
               text-decoration: none; }
.second { background: transparent; color: var(--text); border: 1px solid var(--line); }
.problem { color: var(--bad); border-left: 3px solid var(--bad); padding-left: .6rem; }
small { display: block; margin-top: 1.1rem; color: var(--quiet); }
a { color: var(--key); }
"""


OTHER_LANGUAGE = {"ko": ("en", "English"), "en": ("ko", "한국어")}


@dataclass(frozen=True, slots=True)
class LoginPage:
    """What one program's login page says and where it leads."""

    words: Callable[[str], str]
    """Texts by key: title, tagline, username, password, send, help, by_provider."""
    language: str
    path: str
    """Of the page, which also takes the form."""
    icon: str = ""
    """A data URI."""
    provider_path: str = ""
    """Where a login at the site's provider begins; empty where there is none."""


def login_page(page: LoginPage, following: str, problem: str = "", username: str = "") -> str:
    """The page as markup. `following`: where to go after the login. `problem`: why the last attempt did not succeed."""
    words, language = page.words, page.language
    other, others_name = OTHER_LANGUAGE[language]
    here, there = (f"{page.path}?{urlencode({'next': following, 'lang': name})}" for name in (language, other))
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    by_provider = f"{page.provider_path}?{urlencode({'next': following, 'lang': language})}"
    provider = (
        f'<a class="key second" href="{escape(by_provider)}">{escape(words("by_provider"))}</a>'
        if page.provider_path
        else ""
    )
    at = "password" if username else "username"
    focus = {name: " autofocus" if name == at else "" for name in ("username", "password")}
    tab_icon = f'<link rel="icon" href="{page.icon}">' if page.icon else ""
    picture = f'<img src="{page.icon}" alt="">' if page.icon else ""
    return f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(words("title"))} · Tuneway</title>{tab_icon}<style>{STYLES}</style></head>
<body><main>
<header>{picture}<span>Tuneway</span><a href="{escape(there)}" lang="{other}" hreflang="{other}">{others_name}</a></header>
<h1>{escape(words("title"))}</h1>
<p>{escape(words("tagline"))}</p>
{told}
<form method="post" action="{escape(here)}">
<label for="username">{escape(words("username"))}</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="100" required value="{escape(username)}"{focus["username"]}>
<label for="password">{escape(words("password"))}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required{focus["password"]}>
<button>{escape(words("send"))}</button>
</form>
{provider}
<small>{escape(words("help"))}</small>
</main></body></html>
"""
