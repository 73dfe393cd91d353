"""The report of a dataset version: one HTML file, Korean and English, with its pictures inside."""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.enums import PersonalDataKind, ProtectedAttribute, RemovalReason, Split
from contracts.errors import NotFoundError
from contracts.record import JsonObject
from contracts.words import GROUPS, PERSONAL_DATA_KINDS, PROTECTED_ATTRIBUTES, REMOVAL_REASONS
from data_prep.statistics.clusters import DuplicateClusters
from data_prep.statistics.details import in_korean
from data_prep.versions.names import MANIFEST_FILE, STATISTICS_FILE
from storage.files import read_json, write_text_atomically
from storage.stored_files import read_stored_json, scope_of_stored

LANGUAGES = ("ko", "en")
REPORT_FILE = "report.html"
SHOWN_CLUSTERS = 10
SHOWN_EXAMPLES = 2
"""Of each kind of personal data."""
SHOWN_FLAGGED = 20
"""Rows of the bias report to look at; the statistics name more."""

_WORDS: dict[str, tuple[str, str]] = {
    "title": ("데이터셋 보고서", "Dataset report"),
    "rows": ("행", "rows"),
    "version": ("버전", "Version"),
    "train": ("학습", "train"),
    "validation": ("검증", "validation"),
    "test": ("시험", "test"),
    "quality_mean": ("평균 품질", "mean quality"),
    "removed_rows": ("제외한 행", "rows removed"),
    "masked_data": ("가린 개인정보", "personal data masked"),
    "steps": ("정제 단계", "Cleaning, step by step"),
    "step": ("단계", "step"),
    "in": ("들어온 행", "rows in"),
    "out": ("남은 행", "rows out"),
    "changed": ("고친 행", "rows changed"),
    "why": ("사유", "reasons"),
    "removed": ("제외한 이유", "Why rows were removed"),
    "examples": ("제외한 행의 보기 (개인정보는 가렸습니다)", "Examples of removed rows (personal data masked)"),
    "personal": ("가린 개인정보", "Personal data masked"),
    "masked_places": ("가린 자리 보기", "Places that were masked"),
    "masked_rows": (
        "{rows:,}행 가운데 {masked:,}행에서 가렸습니다. 개인정보 때문에 제외한 행은 {dropped:,}행입니다.",
        "Masked in {masked:,} of {rows:,} rows; {dropped:,} rows were taken out for their personal data.",
    ),
    "kept_data": ("정책에 따라 남긴 것: {kinds}", "Left in by the policy: {kinds}"),
    "bias": ("누구를 어떻게 말하는가", "Whom the rows speak of, and how"),
    "bias_told": (
        "표본 {rows:,}행 가운데 {named:,}행이 사람의 집단을 말합니다. 전체 평균 유해 점수는 {mean:.3f}입니다. 낱말로 찾은 것이므로 "
        "살펴볼 곳을 알려 줄 뿐, 판정이 아닙니다.",
        "Of a sample of {rows:,} rows, {named:,} speak of a group of people; the mean toxicity score of all is {mean:.3f}. Found by "
        "words: it says where to look and judges nothing.",
    ),
    "group": ("집단", "group"),
    "group_toxicity": ("평균 유해 점수", "mean toxicity"),
    "toxic_rows": ("유해한 행", "toxic"),
    "biased_rows": ("치우친 행", "biased"),
    "generalising_rows": ("싸잡아 말하는 행", "generalising"),
    "where_to_look": ("살펴볼 행", "Rows to look at"),
    "quality": ("품질 점수: 정제 전과 후", "Quality score, before and after cleaning"),
    "before": ("정제 전", "before"),
    "after": ("정제 후", "after"),
    "lengths": ("길이 (글자 수)", "Length in characters"),
    "question_characters": ("질문", "question"),
    "answer_characters": ("답변", "answer"),
    "tokens": ("토큰 수", "Tokens"),
    "median": ("중앙값", "median"),
    "p95": ("95 %", "95 %"),
    "p99": ("99 %", "99 %"),
    "max": ("최대", "max"),
    "tokens_none": (
        "토큰은 재지 않았습니다. 기반 모델을 지정하면 그 토크나이저로 잽니다.",
        "Tokens were not counted: name a base model and its tokenizer will count them.",
    ),
    "sampled": ("표본 {n:,}행에서 재었습니다.", "Measured on a sample of {n:,} rows."),
    "turns": ("대화 차례 수", "Turns of a conversation"),
    "categories": ("분류", "Categories"),
    "sources": ("원본 문서", "Source documents"),
    "words": ("자주 나오는 낱말", "Frequent words"),
    "words_distinct": ("낱말 {total:,}개, 서로 다른 낱말 {distinct:,}개", "{total:,} words, {distinct:,} distinct"),
    "toxicity": ("유해 표현 점수", "Toxicity score"),
    "duplicates": ("중복 묶음", "Clusters of duplicates"),
    "kept": ("남긴 행", "row kept"),
    "why_kept": ("남긴 까닭", "kept for"),
    "quality_best": ("품질", "quality"),
    "source_order": ("먼저 나옴", "coming first"),
    "members": ("묶음의 행 수", "rows in the cluster"),
    "similarity": ("유사도", "similarity"),
    "split": ("나눔", "Split"),
    "inputs": ("입력 파일", "Input files"),
    "made_from": ("해시", "hash"),
    "share": ("몫", "share"),
    "none": ("없음", "none"),
    "normalise": ("글자 정리", "normalise"),
    "mask_personal_data": ("개인정보 가리기", "mask personal data"),
    "leakage": ("평가 문항과 겹침", "overlap with test cases"),
    "exact_duplicates": ("똑같은 중복", "exact duplicates"),
    "near_duplicates": ("거의 같은 중복", "near duplicates"),
    "other_versions": ("다른 버전과 겹침", "overlap with other versions"),
    "quality_step": ("품질 규칙", "quality rules"),
}

_STYLE = """
:root{--ink:#1c2733;--muted:#5b6b7b;--line:#d9e0e7;--page:#f5f7f9;--card:#fff;--one:#0b6bcb;--two:#c9dcf2;--warn:#b5541c}
@media(prefers-color-scheme:dark){:root{--ink:#e7edf3;--muted:#9fb0c0;--line:#2c3947;--page:#10161c;--card:#18212a;--one:#5aa9f5;--two:#2b4763;--warn:#f0a36b}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.6 "Noto Sans KR","Noto Sans CJK KR","Malgun Gothic","Apple SD Gothic Neo",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}h1{font-size:26px;margin:0}h2{font-size:18px;margin:0 0 12px}
header{display:flex;gap:16px;justify-content:space-between;align-items:flex-start;flex-wrap:wrap;margin-bottom:16px}
.muted{color:var(--muted)}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin-bottom:16px}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px}
.card b{display:block;font-size:24px;line-height:1.3}section{margin-bottom:16px;overflow-x:auto}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:0 16px;align-items:start}.two section{margin:0 0 16px}.flow{columns:2 420px;column-gap:16px}.flow section{break-inside:avoid}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 8px;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}th{color:var(--muted);font-weight:500}
svg{width:100%;height:auto;display:block}svg text{fill:var(--muted);font-size:11px}.one{fill:var(--one)}.twof{fill:var(--two)}
mark{background:none;color:var(--warn);font-weight:600}button{font:inherit;border:1px solid var(--line);background:var(--card);color:var(--ink);border-radius:8px;padding:6px 14px;cursor:pointer}
body.ko .en,body.en .ko{display:none}.bar{display:grid;grid-template-columns:minmax(90px,38%) 1fr auto;gap:8px;align-items:center;margin:3px 0}
.bar i{display:block;height:14px;background:var(--one);border-radius:3px;min-width:2px}.bar span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.thin{background:var(--two);height:4px;border-radius:2px;max-width:220px}.thin i{display:block;height:4px;background:var(--one);border-radius:2px}
.bar span:last-child{text-align:right;font-variant-numeric:tabular-nums}code{font-size:13px;overflow-wrap:anywhere}body{word-break:keep-all;overflow-wrap:break-word}
@media print{button{display:none}section{break-inside:avoid}}
"""


def write_report(folder: Path, language: str = "ko") -> Path:
    """The report of the version in this folder. Raises NotFoundError.

    It is opened by browsers, so it is never encrypted: where the installation encrypts, it shows no examples and no words of rows.
    """
    path = folder / REPORT_FILE
    page = version_page(folder, language, with_examples=scope_of_stored(path) is None)
    write_text_atomically(path, page)
    return path


def version_page(folder: Path, language: str = "ko", *, with_examples: bool = True) -> str:
    """The page of the version in this folder, from its manifest and statistics. Raises NotFoundError."""
    manifest, statistics = read_json(folder / MANIFEST_FILE), read_stored_json(folder / STATISTICS_FILE)
    if manifest is None or statistics is None:
        raise NotFoundError(
            "The dataset version has no statistics",
            value=folder,
            next_step="prepare the dataset again; the same request makes the same version",
        )
    return render_report(manifest, statistics if with_examples else without_examples(statistics), language)


def without_examples(statistics: JsonObject) -> JsonObject:
    """The statistics without texts and words of rows."""
    told = {name: value for name, value in statistics.items() if name != "examples"}
    if isinstance(masking := told.get("masking"), dict):
        told["masking"] = {**masking, "examples": {}}
    if isinstance(duplicates := told.get("duplicates"), dict):
        told["duplicates"] = DuplicateClusters.model_validate(duplicates).without_texts().model_dump(mode="json")
    if isinstance(sample := told.get("sample"), dict):
        told["sample"] = {**sample, "frequent_words": {}}
    return told


def render_report(manifest: JsonObject, statistics: JsonObject, language: str = "ko") -> str:
    """The page, in both languages; `language` is the one that it opens in."""
    name, version = str(manifest["name"]), str(manifest["content_hash"])[:12]
    samples: Mapping[str, Any] = _mapping(manifest["samples"])
    removed_counts, masked = _mapping(manifest["removed"]), _mapping(manifest["masked"])
    total = int(manifest["total_samples"])  # type: ignore[arg-type]
    cards = [
        (_both("rows"), f"{total:,}"),
        *((_both(split.value), f"{int(samples.get(split.value, 0)):,}") for split in Split),
        (_both("quality_mean"), f"{float(manifest['quality_score']):.3f}"),  # type: ignore[arg-type]
        (_both("removed_rows"), f"{sum(map(int, removed_counts.values())):,}"),
        (_both("masked_data"), f"{sum(map(int, masked.values())):,}"),
    ]
    histograms, told = _mapping(statistics["histograms"]), _mapping(statistics["sample"])
    body = [
        f"<header><div><h1>{_both('title')}: {_safe(name)}</h1><div class=muted>{_both('version')} "
        f'<code>{version}</code></div></div><button onclick="document.body.className='
        "document.body.className==='ko'?'en':'ko'\"><span class=ko>English</span><span class=en>한국어</span></button></header>",
        "<div class=cards>"
        + "".join(f"<div class=card>{label}<b>{value}</b></div>" for label, value in cards)
        + "</div>",
        _section("steps", _steps(manifest)),
        "<div class=two>",
        _section("removed", _bars(_top(removed_counts), _reason)),
        _section("personal", _masking(_mapping(statistics.get("masking")), masked)),
        "</div>",
        _section("masked_places", _masked_places(_mapping(statistics.get("masking")))),
        _section("examples", _examples(_mapping(statistics.get("examples")))),
        "<div class=two>",
        _section(
            "quality", _before_and_after(_mapping(statistics.get("quality_before") or {}), histograms["quality_score"])
        ),
        _section("toxicity", _chart(_mapping(histograms["toxicity"]))),
        "</div>",
        _section("bias", _bias(_mapping(statistics.get("bias")))),
        _section(
            "lengths",
            "<div class=two>"
            + "".join(
                f"<div><div class=muted>{_both(part)}</div>{_chart(_mapping(histograms[part]))}</div>"
                for part in ("question_characters", "answer_characters")
            )
            + "</div>",
        ),
        "<div class=flow>",
        _section("tokens", _tokens(told)),
        _section("turns", _bars(_mapping(statistics["turns"]), _safe)),
        _section("split", _splits(statistics)),
        _section("duplicates", _clusters(statistics.get("duplicates"))),
        _section("categories", _bars(_top(_mapping(statistics["categories"])), _safe)),
        _section("sources", _bars(_top(_mapping(statistics["largest_sources"])), _safe)),
        _section("words", _vocabulary(told)),
        _section("inputs", _inputs(manifest)),
        "</div>",
    ]
    return (
        f"<!doctype html><html lang={language}><head><meta charset=utf-8><meta name=viewport "
        f'content="width=device-width,initial-scale=1"><title>{_safe(name)} {version}</title><style>{_STYLE}</style></head>'
        f"<body class={language if language in LANGUAGES else 'ko'}><main>{''.join(body)}</main></body></html>\n"
    )


def _safe(text: object) -> str:
    return html.escape(str(text))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _spans(korean: str, english: str) -> str:
    return f"<span class=ko>{_safe(korean)}</span><span class=en>{_safe(english)}</span>"


def _both(key: str, **values: object) -> str:
    korean, english = _WORDS[key]
    return _spans(korean.format(**values), english.format(**values))


def _reason(value: str) -> str:
    return _spans(*REMOVAL_REASONS[RemovalReason(value)])


def _kind(value: str) -> str:
    return _spans(*PERSONAL_DATA_KINDS[PersonalDataKind(value)])


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_both(title)}</h2>{content or _both('none')}</section>"


def _top(counts: Mapping[str, Any], listed: int = 20) -> dict[str, Any]:
    return dict(sorted(counts.items(), key=lambda item: (-int(item[1]), item[0]))[:listed])


def _bars(counts: Mapping[str, Any], label: Any) -> str:
    most = max((int(count) for count in counts.values()), default=0)
    return "".join(
        f'<div class=bar><span title="{_safe(name)}">{label(name)}</span><span><i style="width:{100 * int(count) / most:.1f}%"></i>'
        f"</span><span>{int(count):,}</span></div>"
        for name, count in counts.items()
        if most
    )


def _chart(drawn: Mapping[str, Any], behind: Sequence[float] | None = None) -> str:
    """A histogram as SVG; `behind` is a second one in the same bins, drawn paler."""
    counts, edges = list(drawn.get("counts", [])), list(drawn.get("edges", []))
    if not counts or not sum(counts):
        return _both("none")
    width, height, foot = 520, 170, 22
    tallest = max([*counts, *(behind or [])])
    step = width / len(counts)
    shapes = []
    for fill, values in (("twof", behind or []), ("one", counts)):
        inset = 1 if fill == "twof" else (step * 0.22 if behind else 1)
        for index, count in enumerate(values):
            tall = (height - 14) * count / tallest
            shapes.append(
                f'<rect class={fill} x="{index * step + inset:.1f}" y="{height - tall:.1f}" '
                f'width="{max(step - 2 * inset, 1):.1f}" height="{tall:.1f}"><title>{edges[index]:g} – {edges[index + 1]:g}: '
                f"{count:,}</title></rect>"
            )
    ticks = sorted({0, len(counts) // 4, len(counts) // 2, 3 * len(counts) // 4, len(counts)})
    labels = "".join(
        f'<text x="{min(max(tick * step, 2), width - 2):.1f}" y="{height + 15}" '
        f'text-anchor="{"start" if tick == 0 else "end" if tick == len(counts) else "middle"}">{edges[tick]:,g}</text>'
        for tick in ticks
    )
    return (
        f'<svg viewBox="0 0 {width} {height + foot}" role=img>{"".join(shapes)}'
        f'<line x1=0 x2={width} y1={height} y2={height} stroke="var(--line)"/>'
        f"<text x={width - 2} y=11 text-anchor=end>{tallest:,}</text>{labels}</svg>"
    )


def _before_and_after(before: Mapping[str, Any], after: Any) -> str:
    legend = f'<div class=muted><span style="color:var(--two)">■</span> {_both("before")} &nbsp; <span style="color:var(--one)">■</span> {_both("after")}</div>'
    return legend + _chart(_mapping(after), list(before.get("counts", [])) or None)


def _steps(manifest: JsonObject) -> str:
    head = "".join(
        f"<th{'' if key in {'step', 'why'} else ' class=n'}>{_both(key)}</th>"
        for key in ("step", "in", "out", "changed", "why")
    )
    lines = []
    for one in manifest.get("steps") or []:  # type: ignore[union-attr]
        step = _mapping(one)
        name = str(step["step"])
        why = ", ".join(f"{_reason(reason)} {int(count):,}" for reason, count in _mapping(step["removed"]).items())
        label = _both("quality_step") if name == "quality" else _both(name) if name in _WORDS else _safe(name)
        lines.append(
            f"<tr><td>{label}</td><td class=n>{int(step['rows_in']):,}</td><td class=n>{int(step['rows_out']):,}</td>"
            f"<td class=n>{int(step['changed']):,}</td><td>{why}</td></tr>"
        )
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _examples(examples: Mapping[str, Any]) -> str:
    lines = []
    removed = _mapping(examples.get("removed"))
    for reason in RemovalReason:
        lines += [
            f"<tr><td>{_reason(reason)}</td><td><code>{_safe(line['row'])}</code></td>"
            f"<td>{_safe(line['question'])}<div class=muted>{_spans(in_korean(line['detail']), line['detail'])}</div></td></tr>"
            for line in removed.get(reason.value, [])
        ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _masking(report: Mapping[str, Any], masked: Mapping[str, Any]) -> str:
    """What was masked, by kind, and what the policy left."""
    bars = _bars(_top(masked), _kind)
    if not report:
        return bars
    told = _both("masked_rows", rows=report["rows"], masked=report["masked_rows"], dropped=report["dropped_rows"])
    body = f"<p class=muted>{told}</p>{bars}"
    kept = _mapping(report["kept"])
    if kept:
        korean, english = (
            ", ".join(
                f"{PERSONAL_DATA_KINDS[PersonalDataKind(kind)].of(language)} {count:,}" for kind, count in kept.items()
            )
            for language in LANGUAGES
        )
        body += f"<p>{_spans(_WORDS['kept_data'][0].format(kinds=korean), _WORDS['kept_data'][1].format(kinds=english))}</p>"
    return body


def _masked_places(report: Mapping[str, Any]) -> str:
    """Some places of each kind as they read now."""
    examples = _mapping(report.get("examples"))
    lines = "".join(
        f"<tr><td>{_kind(kind.value)}</td><td>{_marked(kind, text)}</td></tr>"
        for kind in PersonalDataKind
        for text in examples.get(kind.value, [])[:SHOWN_EXAMPLES]
    )
    return f"<table>{lines}</table>" if lines else ""


def _marked(kind: PersonalDataKind, text: str) -> str:
    """The text with the tokens and pseudonyms of the kind standing out."""
    return re.sub(
        rf"\[{re.escape(_safe(kind.value))}(?:-[0-9A-Z]+)?\]", lambda token: f"<mark>{token[0]}</mark>", _safe(text)
    )


def _bias(report: Mapping[str, Any]) -> str:
    """The groups that rows speak of, by attribute, the most frequent first."""
    if not report or not report["rows"]:
        return ""
    told = _both(
        "bias_told", rows=report["rows"], named=report["rows_with_groups"], mean=float(report["mean_toxicity"])
    )
    head = "".join(
        f"<th{'' if key == 'group' else ' class=n'}>{_both(key)}</th>"
        for key in ("group", "rows", "share", "group_toxicity", "toxic_rows", "biased_rows", "generalising_rows")
    )
    groups = [
        (ProtectedAttribute(attribute["attribute"]), group)
        for attribute in report["attributes"]
        for group in attribute["groups"]
    ]
    most = max((int(group["rows"]) for _, group in groups), default=1)
    lines, last = [], None
    for attribute, group in groups:
        if attribute is not last:
            lines.append(f"<tr><th colspan=7>{_spans(*PROTECTED_ATTRIBUTES[attribute])}</th></tr>")
            last = attribute
        bar = f'<div class=thin><i style="width:{100 * int(group["rows"]) / most:.1f}%"></i></div>'
        lines.append(
            f"<tr><td>{_spans(*GROUPS[attribute][group['group']])}{bar}</td><td class=n>{int(group['rows']):,}</td>"
            f"<td class=n>{float(group['share']):.1%}</td><td class=n>{float(group['mean_toxicity']):.3f}</td>"
            + "".join(
                f"<td class=n>{_standing_out(int(group[name]))}</td>"
                for name in ("toxic_rows", "biased_rows", "generalising_rows")
            )
            + "</tr>"
        )
    flagged = list(dict.fromkeys(row for _, group in groups for row in group["flagged"]))[:SHOWN_FLAGGED]
    look = "".join(f" <code>{_safe(row)}</code>" for row in flagged)
    return (
        f"<p class=muted>{told}</p>"
        + (f"<table><tr>{head}</tr>{''.join(lines)}</table>" if lines else "")
        + (f"<p>{_both('where_to_look')}:{look}</p>" if look else "")
    )


def _standing_out(count: int) -> str:
    return f"<mark>{count:,}</mark>" if count else "0"


def _tokens(told: Mapping[str, Any]) -> str:
    tokens = _mapping(told.get("tokens"))
    if not tokens:
        return _both("tokens_none")
    conversation = _mapping(tokens["conversation"])
    numbers = " · ".join(
        f"{_both(name)} {float(conversation[name]):,.0f}"
        for name in ("median", "p95", "p99", "max")
        if name in conversation
    )
    return (
        f"<div class=muted>{_safe(tokens['tokenizer'])}: {numbers}. {_both('sampled', n=int(told['rows']))}</div>"
        + _chart(_mapping(tokens["histogram"]))
    )


def _splits(statistics: JsonObject) -> str:
    total = max(int(statistics["rows"]), 1)  # type: ignore[arg-type]
    lines = []
    for split in Split:
        part = _mapping(_mapping(statistics["splits"]).get(split.value))
        rows = int(part.get("rows", 0))
        lines.append(
            f"<tr><td>{_both(split.value)}</td><td class=n>{rows:,}</td><td class=n>{rows / total:.1%}</td></tr>"
        )
    return f"<table><tr><th></th><th class=n>{_both('rows')}</th><th class=n>{_both('share')}</th></tr>{''.join(lines)}</table>"


def _clusters(duplicates: object) -> str:
    largest = (_mapping(duplicates).get("largest") or [])[:SHOWN_CLUSTERS]
    lines = "".join(
        f"<tr><td><code>{_safe(one['kept'])}</code>{_cluster_text(one)}</td>"
        f"<td>{_both(one['kept_for']) if 'kept_for' in one else ''}</td><td class=n>{int(one['rows']):,}</td>"
        f"<td class=n>{float(one['similarity']):.2f}</td></tr>"
        for one in largest
    )
    if not lines:
        return ""
    return (
        f"<table><tr><th>{_both('kept')}</th><th>{_both('why_kept')}</th><th class=n>{_both('members')}</th><th class=n>{_both('similarity')}</th></tr>"
        f"{lines}</table>"
    )


def _cluster_text(cluster: Mapping[str, Any]) -> str:
    """The question of the row that stayed; nothing in a report without examples."""
    texts = cluster.get("texts") or []
    return f"<div class=muted>{_safe(texts[0]['question'])}</div>" if texts else ""


def _vocabulary(told: Mapping[str, Any]) -> str:
    if not told.get("rows"):
        return ""
    sampled = _both("sampled", n=int(told["rows"]))
    distinct = _both("words_distinct", total=int(told["words"]), distinct=int(told["distinct_words"]))
    return f"<div class=muted>{distinct}. {sampled}</div>{_bars(_top(_mapping(told['frequent_words'])), _safe)}"


def _inputs(manifest: JsonObject) -> str:
    lines = "".join(
        f"<tr><td>{_safe(str(_mapping(one)['path']).rpartition('/')[2])}</td><td class=n>{int(_mapping(one)['rows']):,}</td>"
        f"<td><code>{_safe(str(_mapping(one)['sha256'])[:12])}</code></td></tr>"
        for one in manifest.get("sources") or []  # type: ignore[union-attr]
    )
    return f"<table>{lines}</table>" if lines else ""
