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
    "train.help_export": (
        "레시피를 Axolotl 또는 LLaMA-Factory의 설정으로 씁니다.",
        "Write a recipe as the configuration of Axolotl or LLaMA-Factory.",
    ),
    "train.help_recipes": ("레시피 목록을 보여 줍니다.", "List the recipes."),
    "train.help_preferences": (
        "선호 쌍(DPO용)으로 데이터셋 버전을 만듭니다: 파일 또는 A/B 시험의 평점에서.",
        "Make a dataset version of preference pairs (for DPO): from a file or from the ratings of an A/B test.",
    ),
    "train.arg_preferences": ("데이터셋 이름", "Name of the dataset"),
    "train.opt_pairs_file": (
        "prompt, chosen, rejected가 한 줄씩 든 JSONL 파일",
        "JSON lines of prompt, chosen and rejected",
    ),
    "train.opt_experiment": ("평점을 가져올 A/B 시험의 번호", "Number of the A/B test whose ratings are taken"),
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
    "train.opt_seed": ("난수 시드", "Seed"),
    "train.opt_set": (
        "레시피의 값을 바꿉니다. 예: --set learning_rate=1e-4 (여러 번 가능)",
        "Change a number of the recipe, e.g. --set learning_rate=1e-4 (may be repeated)",
    ),
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
