"""The texts of `tuneway sweep`, in Korean and English."""

SWEEP_TEXTS: dict[str, tuple[str, str]] = {
    "help.sweep": (
        "레시피의 가장 좋은 값을 찾습니다: 시작, 목록, 결과.",
        "Look for the best numbers of a recipe: start, list, show.",
    ),
    "sweep.help_start": (
        "탐색을 시작합니다 (Airflow의 tune_hyperparameters). 같은 요청이면 이어서 진행합니다.",
        "Start a sweep (Airflow's tune_hyperparameters); the same request goes on with it.",
    ),
    "sweep.help_list": ("탐색 목록을 최신순으로 보여 줍니다.", "List the sweeps, newest first."),
    "sweep.help_show": (
        "탐색 하나의 시행, 가장 좋은 값, 레시피를 보여 줍니다.",
        "Show one sweep: its trials, the best numbers, the recipe.",
    ),
    "sweep.arg_request": (
        "요청 파일 (YAML 또는 JSON). -는 표준 입력",
        "The request, a YAML or JSON file; - reads standard input",
    ),
    "sweep.arg_name": ("탐색 이름", "A sweep's name"),
    "sweep.opt_here": (
        "Airflow 없이 이 명령 안에서 시행을 하나씩 실행합니다.",
        "Without Airflow: run the trials one after the other in this command.",
    ),
    "sweep.none": ("탐색이 없습니다", "There are no sweeps"),
    "sweep.started": ("탐색을 시작했습니다: {page}", "The sweep has been started: {page}"),
    "sweep.show_with": ("결과 보기: tuneway sweep show {name}", "To see it: tuneway sweep show {name}"),
    "sweep.summary": (
        "{name}: 시행 {trials}/{wanted}회 (완료 {completed}, 조기 중단 {pruned}, 실패 {failed}, 진행 중 {running})",
        "{name}: {trials} of {wanted} trials ({completed} completed, {pruned} pruned, {failed} failed, {running} running)",
    ),
    "sweep.best": ("가장 좋은 시행: {numbers}", "Best: trial {numbers}"),
    "sweep.importances": ("결과 차이를 설명하는 몫: {shares}", "Share of the spread explained: {shares}"),
    "sweep.recipe": ("레시피 {name}: {path}", "Recipe {name}: {path}"),
    "sweep.picture": ("그림: {path}", "Picture: {path}"),
    "sweep.name": ("이름", "Name"),
    "sweep.trial": ("시행", "Trial"),
    "sweep.state": ("상태", "State"),
    "sweep.values": ("값", "Values"),
    "sweep.result": ("결과", "Result"),
    "sweep.trials": ("시행", "Trials"),
    "sweep.begun": ("시작", "Started"),
    "sweep.job": ("작업", "Job"),
    "sweep.state_running": ("진행 중", "running"),
    "sweep.state_completed": ("완료", "completed"),
    "sweep.state_pruned": ("조기 중단", "pruned"),
    "sweep.state_failed": ("실패", "failed"),
}
