"""What `tuneway docs` and the pages that it makes say, in Korean and English."""

DOCS_TEXTS: dict[str, tuple[str, str]] = {
    "help.docs": (
        "문서를 웹 페이지로 만듭니다. 서버와 인터넷 없이 브라우저로 바로 열 수 있습니다.",
        "Make the documentation as web pages, which a browser opens without a server or a network.",
    ),
    "docs.opt_directory": ("페이지를 쓸 폴더", "Folder for the pages"),
    "docs.done": (
        "{pages}쪽을 썼습니다. 열기: {index} ({seconds:.1f}초)",
        "Wrote {pages} pages. Open {index} ({seconds:.1f} s)",
    ),
    # on the pages
    "docs.contents": ("차례", "Contents"),
    "docs.search": ("문서에서 찾기", "Search the documentation"),
    "docs.search_hint": ("찾을 말 ( / )", "Search ( / )"),
    "docs.search_none": ("찾는 말이 없습니다.", "Nothing found."),
    "docs.skip": ("본문으로 가기", "To the text"),
    "docs.name": ("한국어", "English"),
    "docs.previous": ("이전", "Previous"),
    "docs.next": ("다음", "Next"),
    "docs.here": ("이 자리의 주소", "Link to this place"),
    "docs.not_run": (
        "자동 시험이 실행하지 않는 명령입니다. 실제 장비나 다른 서버가 필요합니다.",
        "No automatic test runs these commands: they need real hardware or another server.",
    ),
    "docs.english_only": (
        "이 문서는 영어로만 있습니다. 자주 쓰는 내용은 사용 설명서에 한국어로 있습니다.",
        "This page exists in English only.",
    ),
}
