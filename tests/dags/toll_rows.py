"""Thirty rows that differ enough to be kept."""

import json
from pathlib import Path

GATES = ["남산", "북문", "서호", "동천", "중앙", "강변", "해안", "산성", "평야", "호수"]
KINDS = ["승용차", "화물차", "버스"]


def write_toll_rows(folder: Path) -> Path:
    """A JSONL file of questions and answers about tolls, three categories."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{gate} 영업소의 {kind} 통행료를 알려 주세요."},
                {"role": "assistant", "content": f"{gate} 영업소의 {kind} 통행료는 {1000 + 370 * i + 91 * j}원입니다."},
            ],
            "metadata": {"category": kind},
        }
        for i, gate in enumerate(GATES)
        for j, kind in enumerate(KINDS)
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
