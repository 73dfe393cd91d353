"""The texts of `tuneway ratings`, in Korean and English."""

RATINGS_TEXTS: dict[str, tuple[str, str]] = {
    "help.ratings": (
        "전문가와 심사 모델이 답변을 평가하고, 얼마나 일치하는지 봅니다.",
        "Have experts and judging models rate answers, and see how far they agree.",
    ),
    "ratings.help_put_up": (
        "답변을 평가 과제로 올립니다. 같은 이름의 같은 답변이면 이미 있는 과제를 그대로 둡니다.",
        "Put answers up for rating; the same answers under the same name are the task that is there.",
    ),
    "ratings.help_list": ("평가 과제 목록을 최신순으로 보여 줍니다.", "List the rating tasks, newest first."),
    "ratings.help_export": (
        "대시보드를 쓰지 않는 전문가를 위해 평가표(CSV)를 만듭니다. 어느 모델의 답변인지는 나오지 않습니다.",
        "Write a rating sheet (CSV) for an expert without the dashboard; it does not tell whose answers they are.",
    ),
    "ratings.help_import": ("전문가가 채운 평가표를 저장합니다.", "Store the sheet that an expert has filled in."),
    "ratings.help_judge": (
        "내부망의 심사 모델이 과제의 모든 항목을 판정합니다. 중단되면 이어서 진행합니다.",
        "Have a judging model inside the site rate every item; a run that was cut off goes on.",
    ),
    "ratings.help_agreement": (
        "전문가끼리, 심사 모델과 전문가가 얼마나 일치하는지 보여 줍니다.",
        "Show how far experts agree with each other, and judging models with them.",
    ),
    "ratings.arg_task": ("평가 과제 이름", "A rating task's name"),
    "ratings.arg_sheet": ("평가표 파일", "The sheet's file"),
    "ratings.opt_rater": ("전문가 이름", "The expert's name"),
    "ratings.opt_evaluation": (
        "기반 모델과 학습된 모델의 답변을 비교할 평가 번호",
        "The evaluation whose base and tuned answers are compared",
    ),
    "ratings.opt_result": (
        "같은 시험 모음의 결과 번호. 두 번 주면 앞의 것이 A, 뒤의 것이 B입니다.",
        "Results on one suite; given twice, the first is A and the second B",
    ),
    "ratings.opt_answers": (
        "답변 파일 (JSONL: case_id, question, answer_a, answer_b)",
        "A file of answers (JSONL: case_id, question, answer_a, answer_b)",
    ),
    "ratings.opt_kind": (
        "pairwise: 두 답변 비교, rubric: 1~5점 채점",
        "pairwise: two answers side by side; rubric: one answer from 1 to 5",
    ),
    "ratings.opt_max_items": ("이 수만큼만 (언제나 같은 항목)", "At most so many, always the same ones"),
    "ratings.opt_url": (
        "심사 모델의 OpenAI 호환 주소",
        "The judging model's OpenAI-compatible address",
    ),
    "ratings.opt_model": ("심사 모델 이름", "The judging model's name"),
    "ratings.opt_key": ("키가 든 비밀 파일의 이름", "Name of the secret file that holds the key"),
    "ratings.opt_max_tokens": ("판정 하나의 최대 토큰 수", "Tokens a verdict may have"),
    "ratings.none": ("평가 과제가 없습니다", "There are no rating tasks"),
    "ratings.put_up": ("평가 과제 {name}: 항목 {items}건", "Rating task {name}: {items} items"),
    "ratings.rate_with": ("평가 화면: {page}", "To rate: {page}"),
    "ratings.exported": ("평가표에 항목 {items}건을 썼습니다: {path}", "{items} items in the sheet {path}"),
    "ratings.imported": ("{rater}의 평가 {ratings}건을 저장했습니다", "{ratings} ratings of {rater} stored"),
    "ratings.judged_pairs": (
        "{n}건: {model_b}의 승률 {rate} (승 {wins}, 무 {ties}, 패 {losses}; 부호 검정 {p})",
        "{n} pairs: win rate of {model_b} {rate} ({wins} won, {ties} tied, {losses} lost; sign test {p})",
    ),
    "ratings.judged_scores": ("답변 {n}건의 평균 점수 {score}", "{n} answers, mean score {score}"),
    "ratings.consistency": (
        "순서를 바꾸어도 같은 판정: {share}",
        "Same verdict in both orders: {share}",
    ),
    "ratings.first_position": (
        "앞에 놓인 답변을 고른 비율: {share} (0.5면 치우침이 없음)",
        "Verdicts for the answer standing first: {share} (0.5 is no bias)",
    ),
    "ratings.excluded": ("판정에서 빠진 항목: {reasons}", "Items without a verdict: {reasons}"),
    "ratings.progress": ("{rater}: {done} / {total}건", "{rater}: {done} of {total}"),
    "ratings.one_expert": (
        "전문가가 두 명 이상 평가하면 전문가끼리의 일치도가 나옵니다.",
        "Agreement among experts needs ratings of at least two.",
    ),
    "ratings.experts": ("전문가끼리: {numbers}", "Among experts: {numbers}"),
    "ratings.judge": ("{judge}와 전문가: {numbers}", "{judge} and the experts: {numbers}"),
    "ratings.expert_by_judge": ("전문가 \\ 심사 모델", "expert \\ judge"),
    "ratings.may_gate": (
        "이 심사 모델은 합격 여부를 정할 수 있습니다 (기준 α {bar}, 항목 {items}건)",
        "This judge may decide a gate (bar α {bar}, {items} items)",
    ),
    "ratings.may_not_gate": (
        "이 심사 모델은 합격 여부를 정할 수 없습니다 (기준 α {bar}, 전문가와 겹친 항목 {items} / {min_items}건)",
        "This judge may not decide a gate (bar α {bar}, {items} of {min_items} items rated by experts too)",
    ),
    "ratings.name": ("이름", "Name"),
    "ratings.kind": ("방식", "Kind"),
    "ratings.kind_pairwise": ("비교", "pairwise"),
    "ratings.kind_rubric": ("채점", "rubric"),
    "ratings.suite": ("시험 모음", "Suite"),
    "ratings.items": ("항목", "Items"),
    "ratings.begun": ("올린 때", "Put up"),
}
