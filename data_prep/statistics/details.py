"""The details of removed rows, which files and logs keep in English, as a Korean reader has them."""

import re

_PARTS = {
    "legibility": "글자 상태",
    "substance": "분량",
    "diversity": "다양성",
    "repetition": "반복",
    "language": "언어",
    "formatting": "서식",
    "fluency": "유창성",
    "grammar": "문법",
    "relevance": "관련성",
    "completeness": "완결성",
    "measured": "잰 값",
    "given": "주어진 값",
}
_ROLES = {"user": "질문", "assistant": "답변", "system": "시스템 지시", "tool": "도구 응답"}
_DETAILS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), korean)
    for pattern, korean in (
        (r"same as (.+)", r"\1 행과 같음"),
        (r"nearly the same as (.+) \(([\d.]+)\)", r"\1 행과 거의 같음 (\2)"),
        (r"nearly the same as (.+)", r"\1 행과 거의 같음"),
        (r"in (.+)", r"\1 버전에 있음"),
        (r"answer of (\d+) characters, at least (\d+)", r"답변 \1자, \2자 이상이어야 함"),
        (r"answer of (\d+) characters, at most (\d+)", r"답변 \1자, \2자 이하여야 함"),
        (r"question of (\d+) characters", r"질문 \1자"),
        (r"(\d+) characters, at most (\d+)", r"모두 \1자, \2자 이하여야 함"),
        (r"(\d+%) of the answer is one unit again and again", r"답변의 \1가 같은 말을 되풀이함"),
        (r"(\d+%) of the answer has been said before", r"답변의 \1가 앞에서 한 말임"),
        (r"toxicity ([\d.]+), below ([\d.]+) allowed", r"유해 점수 \1, \2 미만이어야 함"),
        (r"(\d+%) of the letters Hangul, at least (\d+%)", r"글자 가운데 한글 \1, \2 이상이어야 함"),
        (r"the answer says that it cannot answer", "답할 수 없다고 답함"),
        (r"the answer breaks off", "답변이 끊김"),
        (r"asks the question of test case (.+)", r"평가 문항 \1의 질문과 같음"),
        (r"asks nearly the question of test case (.+)", r"평가 문항 \1의 질문과 거의 같음"),
    )
)
_FOUL = re.compile(r"(\d+) foul words in the (\w+)'s turn")
_QUALITY = re.compile(r"quality ([\d.]+) \((.+)\)")


def in_korean(detail: str) -> str:
    """The detail in Korean; as it is where its form is not known."""
    if found := _FOUL.fullmatch(detail):
        return f"{_ROLES.get(found[2], found[2])}에 비속어 {found[1]}개"
    if found := _QUALITY.fullmatch(detail):
        parts = re.sub(r"[a-z]+", lambda word: _PARTS.get(word[0], word[0]), found[2])
        return f"품질 {found[1]} ({parts})"
    for pattern, korean in _DETAILS:
        if found := pattern.fullmatch(detail):
            return found.expand(korean)
    return detail
