"""The texts of `tuneway evaluate`, in Korean and English."""

EVALUATE_TEXTS: dict[str, tuple[str, str]] = {
    "help.evaluate": (
        "모델 하나를 시험 세트로 평가합니다. 서비스할 때와 같은 서버와 설정으로 묻고, 중단되면 이어서 묻습니다.",
        "Evaluate one model on suites: asked as it is served; goes on where it was stopped.",
    ),
    "evaluate.arg_model": (
        "모델: 이름, 이름@버전, 이름@production, job:17, 모델 폴더, 또는 http://주소:포트#모델이름",
        "The model: NAME, NAME@VERSION, NAME@production, job:17, a folder, or http://host:port#served-name",
    ),
    "evaluate.opt_suite": (
        "시험 세트: 이름, 이름@버전, 또는 JSONL 파일. 여러 번 쓸 수 있습니다.",
        "A suite: NAME, NAME@VERSION, or a JSONL file; may be given several times",
    ),
    "evaluate.opt_max_cases": (
        "시험 세트마다 물을 최대 문항 수 (시험 실행용)",
        "Cases asked of each suite at most, for a trial",
    ),
    "evaluate.opt_max_answer_tokens": ("답변의 최대 토큰 수", "Tokens an answer may have"),
    "evaluate.opt_system_prompt": (
        "모든 문항에 줄 시스템 프롬프트. 생략하면 학습 데이터의 것",
        "System prompt of all cases; that of the training data unless given",
    ),
    "evaluate.opt_judge_url": (
        "평가 모델의 주소 (OpenAI 호환). 채점 기준표(rubric) 문항에 필요합니다.",
        "Address of the judge (OpenAI-compatible), for cases that a rubric scores",
    ),
    "evaluate.opt_judge_model": ("평가 모델의 이름", "Name of the judge's model"),
    "evaluate.opt_speed": (
        "첫 토큰까지의 시간과 초당 토큰 수도 잽니다.",
        "Also measure time to first token and tokens a second",
    ),
    "evaluate.opt_again": (
        "같은 조건의 결과가 있어도 다시 묻습니다.",
        "Ask although there is a result under the same conditions",
    ),
    "evaluate.opt_num_gpus": ("모델 서버가 쓸 GPU 수", "GPUs for the model server"),
    "evaluate.opt_dry_run": (
        "묻지 않고, 무엇을 물을지와 이미 아는 결과만 보여 줍니다.",
        "Ask nothing: show what would be asked and what is known",
    ),
    "evaluate.progress": ("{line}", "{line}"),
    "evaluate.suite": ("시험 세트", "Suite"),
    "evaluate.score": ("지표", "Score"),
    "evaluate.value": ("값", "Value"),
    "evaluate.interval": ("95 % 신뢰구간", "95 % interval"),
    "evaluate.n": ("문항 수", "n"),
    "evaluate.excluded": ("제외", "Excluded"),
    "evaluate.result": ("결과 번호", "Result"),
    "evaluate.no_interval": ("없음", "none"),
    "evaluate.reused": (
        "{suite}: 같은 모델이 같은 조건에서 낸 결과가 있어 다시 묻지 않았습니다 (다시 물으려면 --again).",
        "{suite}: taken from the stored result of the same model under the same conditions (--again asks anew).",
    ),
    "evaluate.unstable": (
        "{suite}: 같은 질문을 두 번 했을 때 답이 달라진 경우가 {repeated}번 중 {unstable}번 있습니다.",
        "{suite}: {unstable} of {repeated} answers were another one when asked again.",
    ),
    "evaluate.stable": (
        "{suite}: 두 번 물은 {repeated}문항의 답이 모두 같았습니다.",
        "{suite}: all {repeated} answers were the same when asked again.",
    ),
    "evaluate.excluded_because": (
        "{suite}: {count}문항을 제외했습니다 (이유: {reason}).",
        "{suite}: {count} cases excluded ({reason}).",
    ),
    "evaluate.model_is": ("모델: {model} ({engine})", "Model: {model} ({engine})"),
    "evaluate.would_ask": (
        "물을 시험 세트: {suite} ({kind}, {cases}문항)",
        "Would ask: {suite} ({kind}, {cases} cases)",
    ),
    "evaluate.known": (
        "이미 있는 결과: {suite} (결과 번호 {result})",
        "Known already: {suite} (result {result})",
    ),
    "reference.help_import_harness": (
        "공개 벤치마크(KoBEST, KLUE, KMMLU 형식)를 로컬 파일로 시험 세트에 등록합니다. 파일은 이 서버에서만 읽습니다.",
        "Make a suite of a public benchmark (KoBEST, KLUE, KMMLU's form) over local files.",
    ),
    "reference.help_import_texts": (
        "복잡도(perplexity)를 잴 글을 시험 세트로 등록합니다.",
        "Make a suite of texts whose perplexity is measured.",
    ),
    "reference.arg_name": ("시험 세트의 이름", "Name of the suite"),
    "reference.opt_task": (
        "벤치마크: kobest_boolq, kobest_copa, kobest_hellaswag, kobest_sentineg, kobest_wic, klue_nli, klue_sts, kmmlu",
        "The benchmark: kobest_boolq, kobest_copa, kobest_hellaswag, kobest_sentineg, kobest_wic, klue_nli, klue_sts, kmmlu",
    ),
    "reference.opt_data": ("벤치마크 파일이 있는 폴더", "Folder of the benchmark's files"),
    "reference.opt_shots": ("질문 앞에 보여 줄 예시의 수", "Examples shown before each question"),
    "reference.opt_file": ("글 파일 (TXT, JSONL, Parquet)", "File of texts (TXT, JSONL, Parquet)"),
    "reference.opt_by": ("등록한 사람. 생략하면 로그인한 계정", "Who brings it in; the account unless given"),
    "reference.imported": (
        "{suite}: {documents}문항을 등록하고 잠갔습니다.",
        "{suite}: {documents} documents brought in and locked.",
    ),
    "reference.next": (
        "평가하기: tuneway evaluate MODEL --suite {suite}",
        "To evaluate: tuneway evaluate MODEL --suite {suite}",
    ),
}
