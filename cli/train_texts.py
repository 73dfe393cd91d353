"""The texts of `tuneway train`, in Korean and English."""

TRAIN_TEXTS: dict[str, tuple[str, str]] = {
    "help.train": (
        "모델을 미세조정합니다: 시작, 설정 확인, 다른 학습기로 내보내기.",
        "Fine-tune models: start, look at the settings, export to another trainer.",
    ),
    "train.help_start": (
        "레시피로 미세조정을 시작하고 끝날 때까지 기다립니다.",
        "Start a fine-tune by a recipe and wait for its end.",
    ),
    "train.help_plan": (
        "학습에 필요한 메모리, 디스크, 시간을 미리 계산합니다. 아무것도 시작하지 않습니다.",
        "Reckon the memory, disk and time that a training will need. Starts nothing.",
    ),
    "train.arg_recipe_or_request": (
        "레시피 이름, 또는 학습 요청(TrainRequest)이 담긴 JSON 파일",
        "Name of the recipe, or a JSON file with a training request",
    ),
    "train.plan_title_gpu": (
        "{recipe}, {model}: {method}, GPU {count}개, 마이크로 배치 {batch} × 누적 {accumulation}, 표본당 최대 {tokens:,}토큰",
        "{recipe}, {model}: {method}, {count} GPU(s), micro-batch {batch} x accumulation {accumulation}, up to {tokens:,} "
        "tokens a sample",
    ),
    "train.plan_title_cpu": (
        "{recipe}, {model}: {method}, CPU 프로세스 {count}개, 마이크로 배치 {batch} × 누적 {accumulation}, 표본당 최대 "
        "{tokens:,}토큰",
        "{recipe}, {model}: {method}, {count} CPU process(es), micro-batch {batch} x accumulation {accumulation}, up to "
        "{tokens:,} tokens a sample",
    ),
    "train.part_weights": ("가중치", "weights"),
    "train.part_gradients": ("기울기", "gradients"),
    "train.part_optimizer": ("옵티마이저", "optimizer"),
    "train.part_activations": ("활성값", "activations"),
    "train.part_logits": ("로짓과 손실", "logits and loss"),
    "train.part_workspace": ("임시 작업 공간", "workspace"),
    "train.part_overhead": ("라이브러리와 단편화", "libraries and fragments"),
    "train.plan_total": ("합계 (텐서 오차 ±{percent})", "total (tensors ±{percent})"),
    "train.plan_capacity": ("장치 메모리: {source}", "device memory: {source}"),
    "train.plan_fits": ("메모리에 들어갑니다.", "It fits into memory."),
    "train.plan_tight": (
        "메모리에 들어가지만 여유가 추정 오차보다 작습니다.",
        "It fits into memory by less than the estimate's error.",
    ),
    "train.plan_too_large": ("메모리에 들어가지 않습니다.", "It does not fit into memory."),
    "train.plan_unknown": (
        "메모리에 들어가는지 알 수 없습니다(지원하지 않는 모델 구조이거나 장치 메모리를 모릅니다).",
        "Whether it fits into memory is not known (another kind of model, or nobody knows the device's memory).",
    ),
    "train.plan_nearest": (
        "들어가는 가장 가까운 설정: {changes} ({size})",
        "The nearest that fits: {changes} ({size})",
    ),
    "train.plan_nothing_fits": (
        "이 기반 모델은 어떤 설정으로도 들어가지 않습니다.",
        "No setting of this base model fits.",
    ),
    "train.plan_disk": (
        "디스크: {needed} 필요(체크포인트 {count}개 × {each}, 결과 {output}), {free} 남음, {reserve}는 비워 둠",
        "Disk: {needed} needed ({count} checkpoints x {each}, output {output}), {free} free, {reserve} to remain",
    ),
    "train.plan_disk_short": (
        "디스크 부족: {needed} 필요(체크포인트 {count}개 × {each}, 결과 {output}), {free} 남음, {reserve}는 비워 둠",
        "Disk too small: {needed} needed ({count} checkpoints x {each}, output {output}), {free} free, {reserve} to remain",
    ),
    "train.plan_merged": (
        "나중에 병합하면 {size}가 더 필요합니다.",
        "A merged model later takes {size} more.",
    ),
    "train.plan_no_time": (
        "시간은 --dataset을 주면 계산합니다.",
        "Give --dataset to have the time reckoned.",
    ),
    "train.plan_hours": ("{hours}시간 {minutes:02}분", "{hours} h {minutes:02} min"),
    "train.plan_minutes": ("{minutes}분", "{minutes} min"),
    "train.plan_time_measured": (
        "시간: 약 {time} ({low}~{high}), {steps:,}스텝, {tokens:,}토큰, 초당 {speed:,.0f}토큰(이전 작업 {jobs}개에서 측정)",
        "Time: about {time} ({low} to {high}), {steps:,} steps, {tokens:,} tokens at {speed:,.0f} a second, as {jobs} "
        "earlier job(s) ran",
    ),
    "train.plan_time_model": (
        "시간: 약 {time} ({low}~{high}), {steps:,}스텝, {tokens:,}토큰, 초당 {speed:,.0f}토큰(연산량에서 어림, 측정값 아님)",
        "Time: about {time} ({low} to {high}), {steps:,} steps, {tokens:,} tokens at {speed:,.0f} a second, guessed from "
        "the operations, not measured",
    ),
    "train.help_watch": (
        "다른 학습기(Axolotl, LLaMA-Factory, transformers Trainer)가 진행 중인 학습을 끝까지 지켜보고 작업으로 등록합니다.",
        "Follow a run of another trainer (Axolotl, LLaMA-Factory, transformers' Trainer) to its end, as a job.",
    ),
    "train.arg_watched": (
        "`tuneway train export`가 만든 폴더. --recipe를 주면 다른 학습기의 출력 폴더",
        "The folder that `tuneway train export` wrote; with --recipe, any output folder of another trainer",
    ),
    "train.opt_watched_recipe": (
        "내보낸 폴더가 아닐 때: 같은 설정의 레시피. --dataset, --base-model도 필요합니다.",
        "For a folder that was not exported: the recipe with the same numbers; wants --dataset and --base-model",
    ),
    "train.opt_watched_log": (
        "다른 학습기의 화면 출력이 담긴 파일. 체크포인트 사이의 손실을 여기서 읽습니다.",
        "A file with the other trainer's output, for its losses between checkpoints",
    ),
    "train.opt_through": (
        "axolotl 또는 llamafactory: 설치된 다른 학습기로 학습합니다.",
        "axolotl or llamafactory: have the installed other trainer do the run",
    ),
    "train.watching": (
        "작업 {name}: {folder}의 학습을 지켜봅니다. 멈추려면 Ctrl-C, 다시 실행하면 이어서 지켜봅니다.",
        "Job {name}: following the run in {folder}. Ctrl-C ends it; the same command goes on",
    ),
    "train.opt_test_suites": (
        "이 평가 문항 파일의 질문이 든 쌍은 뺍니다. 여러 번 쓸 수 있습니다.",
        "Leave out pairs that ask a question of this file of test cases; may be given several times",
    ),
    "train.preferences_removed": ("제외한 쌍: {reasons}", "Left out: {reasons}"),
    "train.help_export": (
        "레시피를 Axolotl 또는 LLaMA-Factory의 설정으로 씁니다.",
        "Write a recipe as the configuration of Axolotl or LLaMA-Factory.",
    ),
    "train.help_replay": (
        "끝난 작업을 똑같이 다시 실행하고, 결과가 같은지 또는 처음 달라지는 곳을 알려 줍니다.",
        "Run a finished job again; tell whether it comes out identical, or where it first differs.",
    ),
    "train.arg_job": ("작업 이름, 번호, 또는 키 (예: train-17)", "A job's name, number or key (train-17)"),
    "train.replaying": ("{job}: 같은 입력으로 다시 실행합니다", "{job}: running again from the same inputs"),
    "train.replay_identical": (
        "{job}: 가중치와 기록된 값 {values:,}개가 모두 같습니다",
        "{job}: identical, weights and {values:,} logged values",
    ),
    "train.replay_differs": (
        "{job}: {step:,}스텝의 {metric}부터 다릅니다 (이전 {before}, 지금 {after})",
        "{job}: first differs at step {step:,} in {metric} (before {before}, now {after})",
    ),
    "train.replay_weights": (
        "{job}: 기록된 값은 모두 같지만 가중치가 다릅니다",
        "{job}: every logged value is the same, but the weights differ",
    ),
    "train.replay_environment": (
        "환경이 다릅니다: {name} (이전 {before}, 지금 {after})",
        "The environment differs: {name} (before {before}, now {after})",
    ),
    "train.help_recipes": ("레시피 목록을 보여 줍니다.", "List the recipes."),
    "train.help_adopt": (
        "내보낸 폴더에서 다른 학습기가 끝낸 학습을 이 플랫폼의 작업으로 받아들입니다.",
        "Take a run that another trainer finished in an exported folder over as a job.",
    ),
    "train.arg_folder": ("tuneway train export가 만든 폴더", "The folder that `tuneway train export` wrote"),
    "train.help_preferences": (
        "선호 쌍(DPO용)으로 데이터셋 버전을 만듭니다: 파일 또는 A/B 테스트의 평점에서.",
        "Make a dataset version of preference pairs (for DPO): from a file or from the ratings of an A/B test.",
    ),
    "train.arg_preferences": ("데이터셋 이름", "Name of the dataset"),
    "train.opt_pairs_file": (
        "prompt, chosen, rejected가 한 줄씩 든 JSONL 파일",
        "JSON lines of prompt, chosen and rejected",
    ),
    "train.opt_rating_task": (
        "전문가가 두 답변을 비교한 평가 과제의 이름",
        "Name of the rating task in which experts compared two answers",
    ),
    "train.opt_experiment": ("평점을 가져올 A/B 테스트의 번호", "Number of the A/B test whose ratings are taken"),
    "train.opt_difference": (
        "두 답변의 평균 평점 차이가 이만큼은 되어야 합니다.",
        "By how much the mean ratings of the two answers must differ",
    ),
    "train.preferences_made": (
        "{name} {version} (dataset_id {dataset_id}): 학습 {train:,}쌍, 검증 {val:,}쌍",
        "{name} {version} (dataset_id {dataset_id}): {train:,} pairs to learn, {val:,} to validate",
    ),
    "train.arg_recipe": ("레시피 이름 (tuneway train recipes)", "Name of the recipe (tuneway train recipes)"),
    "train.opt_dataset": (
        "데이터셋 버전: 이름, 이름@브랜치·태그·커밋, 또는 dataset_id",
        "Dataset version: name, name@branch, tag or commit, or a dataset_id",
    ),
    "train.opt_base_model": (
        "기반 모델의 이름이나 절대 경로",
        "Name of the base model, or its absolute path",
    ),
    "train.opt_job_name": (
        "작업 이름. 같은 이름이면 같은 작업을 이어서 합니다.",
        "Name of the job; the same name goes on with the same job",
    ),
    "train.opt_method": ("학습 방식 (기본값: 레시피의 방식)", "Method (default: the recipe's)"),
    "train.opt_num_gpus": ("GPU 수 (기본값: 레시피의 수)", "Number of GPUs (default: the recipe's)"),
    "train.opt_num_nodes": (
        "함께 학습할 호스트 수. GPU 수는 호스트마다의 수입니다",
        "Hosts that train together; --num-gpus counts on each",
    ),
    "train.opt_seed": ("난수 시드", "Seed"),
    "train.opt_set": (
        "레시피의 값을 바꿉니다. 예: --set learning_rate=1e-4 (여러 번 가능)",
        "Change a number of the recipe, e.g. --set learning_rate=1e-4 (may be repeated)",
    ),
    "train.opt_project": (
        "GPU를 나누어 쓰는 단위. 최근에 GPU를 덜 쓴 프로젝트가 먼저입니다.",
        "Whose share of the GPUs it counts against; who used less lately goes first",
    ),
    "train.opt_priority": ("기다리는 순서의 등급", "Class of the waiting job"),
    "train.opt_dry_run": (
        "학습하지 않고 확정된 설정만 보여 줍니다.",
        "Train nothing; print the resolved configuration",
    ),
    "train.opt_to": ("axolotl 또는 llamafactory", "axolotl or llamafactory"),
    "train.opt_out": ("새로 만들 폴더", "The new folder"),
    "train.started": ("작업 {name}: 학습을 시작합니다", "Job {name}: training begins"),
    "train.finished": (
        "작업 {name}: {steps:,}스텝, 손실 {loss:.4f}, 결과 {output}",
        "Job {name}: {steps:,} steps, loss {loss:.4f}, output {output}",
    ),
    "train.exported": ("{folder}에 썼습니다. 실행: {command}", "Written to {folder}. Run: {command}"),
    "train.recipe_line": ("{name}: {description}", "{name}: {description}"),
}
