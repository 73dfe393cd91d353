"""The texts of `tuneway deploy`, `rollback` and `undeploy`, in Korean and English."""

DEPLOY_TEXTS: dict[str, tuple[str, str]] = {
    "help.deploy": (
        "모델 버전을 지금의 버전 옆에 배포합니다. 학습한 대로 답하는지 확인한 뒤에만 서비스합니다.",
        "Deploy a model version beside the present one, once it is seen to answer as it was trained.",
    ),
    "help.rollback": (
        "서비스를 직전 운영 버전으로 되돌립니다.",
        "Bring the service back to the version that was in production before.",
    ),
    "help.undeploy": (
        "모델 버전을 서비스에서 내립니다. 시작한 답변은 끝까지 보냅니다.",
        "Take a model version out of service. Answers that have begun are given to their end.",
    ),
    "deploy.arg_model": (
        "모델 버전: 번호, 이름과 버전, 이름@버전, model:번호",
        "A model version: its ID, NAME VERSION, NAME@VERSION or model:ID",
    ),
    "deploy.arg_name": ("모델 이름", "The model's name"),
    "deploy.opt_backend": ("모델 서버: vllm, embedded, url", "Model server: vllm, embedded or url"),
    "deploy.opt_url": ("이미 실행 중인 서버의 주소(/v1까지)", "Address of a server that runs already, up to /v1"),
    "deploy.opt_served_name": (
        "그 서버가 기반 모델이나 전체 모델에 붙인 이름",
        "Name under which that server answers for the whole model",
    ),
    "deploy.opt_max_model_length": ("질문과 답변을 합한 최대 토큰 수", "Tokens of prompt and answer together"),
    "deploy.opt_gpus": ("서버 하나가 쓰는 GPU 수", "GPUs of one server"),
    "deploy.opt_gpu_share": ("GPU 메모리에서 쓸 몫(0~1)", "Share of the GPU's memory, 0 to 1"),
    "deploy.opt_max_num_seqs": ("동시에 계산하는 요청 수", "Requests computed at a time"),
    "deploy.opt_dtype": ("계산 정밀도: float32, bfloat16, float16", "Precision: float32, bfloat16 or float16"),
    "deploy.opt_argument": (
        "vllm serve에 더할 인수. 이름=값, 여러 번 쓸 수 있습니다",
        "One more argument for vllm serve, NAME=VALUE; may be repeated",
    ),
    "deploy.opt_allow_inexact_int8": (
        "VNNI가 없는 CPU에서도 INT8 모델을 올려 봅니다. 답이 모델과 다르므로 일치 증명서를 통과하지 못하는 것이 보통입니다",
        "Try an INT8 model on a CPU without VNNI too; its answers differ, and the parity certificate will usually refuse it",
    ),
    "deploy.opt_dry_run": (
        "배포하지 않고 무엇을 하게 될지만 보여 줍니다",
        "Deploy nothing; only say what would be done",
    ),
    "deploy.opt_reason": ("이유. 감사 기록에 남습니다", "Why; kept in the audit trail"),
    "deploy.opt_leaves": (
        "떠날 버전. 이미 떠났으면 아무것도 바꾸지 않습니다",
        "The version to leave; nothing happens where it was left before",
    ),
    "deploy.opt_drain": (
        "시작한 답변을 기다리는 최대 시간(초)",
        "Seconds that answers which have begun may take to end",
    ),
    "deploy.state": ("{model}: {state}", "{model}: {state}"),
    "deploy.deployed": (
        "{model}: 서비스 중입니다({name}, {url})",
        "{model} answers as {name} at {url}",
    ),
    "deploy.asked_at": ("사용자 접속 주소: {url}", "Users ask at {url}"),
    "deploy.planned": (
        "{arm}: {model} ({name}), 서버 {server}: {server_state}, 배포 상태: {state}",
        "{arm}: {model} ({name}), server {server}: {server_state}, deployment: {state}",
    ),
    "deploy.server_runs": ("실행 중", "runs"),
    "deploy.server_starts": ("새로 시작", "would be started"),
    "deploy.no_state": ("없음", "none"),
    "deploy.cards": ("새로 빌릴 GPU: {cards}", "GPUs to lease: {cards}"),
    "deploy.rolled_back": (
        "{model}: {seconds:.2f}초 만에 운영으로 되돌렸습니다",
        "{model} is in production again, after {seconds:.2f} s",
    ),
    "deploy.rolled_back_before": ("{model}: 이미 되돌렸습니다", "{model} had been brought back already"),
    "deploy.experiment_stopped": (
        "떠난 버전의 A/B 테스트(번호 {experiment})를 멈췄습니다",
        "The A/B test over the version that was left (ID {experiment}) is stopped",
    ),
    "deploy.undeployed": ("{model}: 서비스에서 내렸습니다", "{model} is out of service"),
    "deploy.certificate": ("학습·서비스 일치 증명서", "Train-serve parity"),
    "deploy.certificate_value": (
        "{passed}, 질문 {prompts}개, 토큰 {tokens:,}개, 동률 {ties}개, {engine}",
        "{passed}, {prompts} prompts, {tokens:,} tokens, {ties} ties, {engine}",
    ),
    "deploy.certificate_passed": ("일치", "the same"),
    "deploy.certificate_failed": ("불일치", "not the same"),
    "deploy.untold": ("확인할 수 없음", "cannot be told"),
    "deploy.deployment": ("배포", "Deployment"),
}
