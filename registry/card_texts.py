"""The words of the model card, in Korean and English."""

from contracts.enums import GateDecision, Method, Metric

TEXTS: dict[str, tuple[str, str]] = {
    "data": ("데이터", "Data"),
    "dataset": (
        "데이터셋: {name} {version} (내용 해시 `{content_hash}`)",
        "Dataset: {name} {version} (content hash `{content_hash}`)",
    ),
    "samples": (
        "표본 {total:,}건: 학습 {train:,}건, 검증 {validation:,}건, 시험 {test:,}건",
        "{total:,} samples: {train:,} to train, {validation:,} to validate, {test:,} to test",
    ),
    "cleaned": (
        "정제하면서 제외한 행 {removed:,}건, 가린 개인정보 {masked:,}건",
        "{removed:,} rows removed while cleaning, {masked:,} pieces of personal data masked",
    ),
    "documents": ("출처 문서 {count:,}건: {names}", "{count:,} source documents: {names}"),
    "and_more": ("{names} 외 {more:,}건", "{names} and {more:,} more"),
    "training": ("학습", "Training"),
    "base_model": ("기반 모델: {name}", "Base model: {name}"),
    "licence": ("기반 모델의 이용 허락: {licence}", "Licence of the base model: {licence}"),
    "no_licence": (
        "기반 모델의 이용 허락: 모델 폴더에 적혀 있지 않아 확인이 필요합니다",
        "Licence of the base model: its folder does not say; find out before use",
    ),
    "method": ("방식: {method}, 레시피 `{recipe}`", "Method: {method}, recipe `{recipe}`"),
    "steps": (
        "{steps:,}스텝({epochs:g}에폭), 학습 손실 {loss}",
        "{steps:,} steps ({epochs:g} epochs), training loss {loss}",
    ),
    "eval_loss": ("{loss}, 검증 손실 {eval_loss:.4f}", "{loss}, validation loss {eval_loss:.4f}"),
    "cost": (
        "소요 시간 {seconds:,.0f}초, 최대 메모리 {memory:,.0f} MB",
        "{seconds:,.0f} s, at most {memory:,.0f} MB of memory",
    ),
    "compression": ("압축", "Compression"),
    "evaluation": ("평가", "Evaluation"),
    "how_measured": (
        "괄호 안은 95 % 신뢰구간(윌슨)과 문항 수입니다. 서비스와 같은 방식으로 물어 얻은 답을 채점했습니다.",
        "In brackets: 95 % interval (Wilson) and number of cases. The answers were given the way they are served.",
    ),
    "header": ("| 문항 | 기반 모델 | 학습한 모델 |", "| Test cases | Base model | Fine-tuned model |"),
    "header_compressed": ("| 문항 | 압축 전 | 압축 후 |", "| Test cases | Before | After compression |"),
    "cell": ("{share} ({lower}~{upper}, {n}문항)", "{share} ({lower} to {upper}, {n} cases)"),
    "suites": ("평가 모음별 결과", "Results by suite"),
    "how_suites": (
        "구간은 모두 95 %입니다. 조건(문항 판, 템플릿, 엔진, 표집)이 같은 결과만 서로 비교할 수 있습니다.",
        "All intervals are 95 %. Only results under the same conditions (cases, template, engine, sampling) compare.",
    ),
    "suite_header": (
        "| 평가 모음 | 지표 | 값 | 구간 | 수 | 엔진 |",
        "| Suite | Score | Value | Interval | n | Engine |",
    ),
    "excluded": (
        "{suite}: 점수 없이 제외한 문항 {count:,}개({reasons})",
        "{suite}: {count:,} cases left out without a score ({reasons})",
    ),
    "unstable": (
        "{suite}: 두 번 물은 {repeated:,}문항 중 {unstable:,}문항의 답이 달랐습니다",
        "{suite}: of {repeated:,} cases asked twice, {unstable:,} were answered differently",
    ),
    "safety": ("안전성", "Safety"),
    "no_safety": (
        "안전성 평가(유해 표현, 편향, 개인정보, 거절)를 아직 하지 않았습니다.",
        "Not yet evaluated for safety (toxicity, bias, personal data, refusals).",
    ),
    "verdict": ("합격 판정", "Verdict"),
    "decision": (
        "판정: **{decision}** (지표: {metric}, 기준 {bar})",
        "Verdict: **{decision}** (metric: {metric}, bar {bar})",
    ),
    "bound": (
        "정확도의 95 % 단측 신뢰 하한: {bound}({n}문항)",
        "One-sided 95 % lower bound of the accuracy: {bound} ({n} cases)",
    ),
    "no_verdict": ("아직 판정하지 않았습니다.", "No verdict yet."),
    "not_evaluated": ("아직 평가하지 않았습니다.", "Not evaluated yet."),
    "limits": ("한계와 주의", "Limits"),
    "limit_scope": (
        "이 모델은 위 데이터셋이 다루는 업무에 관한 질문에 답하도록 학습했습니다. "
        "그 밖의 질문에는 틀린 답을 그럴듯하게 할 수 있습니다.",
        "The model was trained to answer questions about the work that the dataset covers. "
        "Elsewhere it may give wrong answers that sound right.",
    ),
    "limit_short": (
        "정확도는 정답이 정해진 짧은 문항으로 잰 값이며, 긴 설명이나 판단의 품질을 보장하지 않습니다.",
        "The accuracy was measured on short questions with known answers; it does not vouch for long explanations "
        "or judgement.",
    ),
    "limit_revision": (
        "규정이 개정되면 모델의 지식은 저절로 바뀌지 않습니다. 개정된 자료로 다시 학습해야 합니다.",
        "When regulations are revised, the model does not know of it: it has to be trained again.",
    ),
    "limit_duty": (
        "민원 처분과 계약처럼 법적 효력이 있는 업무에는 담당자가 원문을 확인한 뒤 사용해야 합니다.",
        "For acts with legal force, such as decisions and contracts, the person in charge must check the source first.",
    ),
    "limit_masked": (
        "학습 자료의 개인정보는 가린 뒤 학습했으므로, 개인을 특정하는 질문에는 답하지 못합니다.",
        "Personal data was masked before training: the model cannot answer questions about a person.",
    ),
    "limit_weak": (
        "다음 분류의 정확도는 전체보다 10 %p 넘게 낮습니다: {listed}",
        "In these categories the accuracy is more than 10 points below that of all: {listed}",
    ),
    "origin": ("내력", "Lineage"),
    "origin_line": (
        "데이터셋 버전 {dataset} → 파인튜닝 작업 {job}번({job_name}) → 모델 버전 {version}",
        "Dataset version {dataset} → fine-tuning job {job} ({job_name}) → model version {version}",
    ),
    "origin_files": (
        "내용 해시 `{content_hash}`, 형식 {model_format}, {size:,.3f} GB",
        "Content hash `{content_hash}`, format {model_format}, {size:,.3f} GB",
    ),
    "served_same": (
        "배포 전 확인: 학습한 가중치와 서버({engine})의 답이 질문 {prompts}개, 토큰 {tokens:,}개에서 일치 ({day})",
        "Checked before serving: the trained weights and the server ({engine}) agree on {prompts} prompts, "
        "{tokens:,} tokens ({day})",
    ),
    "served_otherwise": (
        "배포 전 확인: 서버({engine})의 답이 학습한 가중치와 달라 배포하지 않음 ({day})",
        "Checked before serving: the server ({engine}) does not answer as the trained weights do; not deployed ({day})",
    ),
}

METHODS: dict[Method, tuple[str, str]] = {
    Method.LORA: ("LoRA(어댑터만 학습)", "LoRA (an adapter alone is trained)"),
    Method.QLORA: (
        "QLoRA(4비트로 읽은 기반 모델에 어댑터 학습)",
        "QLoRA (an adapter, over a base model read in 4 bits)",
    ),
    Method.FULL: ("전체 미세조정(모든 가중치 학습)", "full fine-tuning (all weights are trained)"),
}
DECISIONS: dict[GateDecision, tuple[str, str]] = {
    GateDecision.PASS: ("합격", "pass"),
    GateDecision.FAIL: ("불합격", "fail"),
    GateDecision.UNDECIDED: ("판정 보류", "undecided"),
}
METRICS: dict[Metric, tuple[str, str]] = {
    Metric.ACCURACY: ("정확도", "accuracy"),
    Metric.ACCURACY_LOWER_BOUND: ("정확도의 95 % 신뢰 하한", "lower 95 % bound of the accuracy"),
}


def of_language(pair: tuple[str, str], language: str) -> str:
    """The Korean one for `ko`, else the English one."""
    return pair[0] if language == "ko" else pair[1]


def card_text(key: str, language: str, **values: object) -> str:
    """The text of the card in the given language, its places filled."""
    return of_language(TEXTS[key], language).format(**values)
