"""The texts of `tuneway dataset`, in Korean and English."""

DATASET_TEXTS: dict[str, tuple[str, str]] = {
    "help.dataset": (
        "학습 데이터: 가져오기, 정제, 버전 관리, 비교, 병합, 내보내기.",
        "Training data: import, clean, version, compare, merge, export.",
    ),
    "dataset.help_import": (
        "파일을 가져옵니다. 깨진 행은 따로 보관합니다.",
        "Bring files in; broken rows are kept aside.",
    ),
    "dataset.help_prepare": (
        "가져온 행을 정제하여 데이터셋 버전을 만듭니다.",
        "Clean imported rows into a dataset version.",
    ),
    "dataset.help_list": ("데이터셋 목록을 보여 줍니다.", "List the datasets."),
    "dataset.help_log": ("버전의 이력을 최신순으로 보여 줍니다.", "Show a version's history, newest first."),
    "dataset.help_diff": (
        "두 버전의 차이를 행 단위로 보여 줍니다 (추가, 삭제, 변경).",
        "Show which rows were added, removed and changed between two versions.",
    ),
    "dataset.help_tag": (
        "버전에 태그를 붙입니다. 태그를 생략하면 목록을 보여 줍니다.",
        "Give a version a tag; without one, list the tags.",
    ),
    "dataset.help_branch": (
        "버전에서 브랜치를 시작합니다. 브랜치를 생략하면 목록을 보여 줍니다.",
        "Start a branch at a version; without one, list the branches.",
    ),
    "dataset.help_merge": (
        "다른 브랜치의 추가, 변경, 삭제를 이 브랜치에 합칩니다.",
        "Bring what another branch added, changed and removed into a branch.",
    ),
    "dataset.help_export": (
        "버전을 JSONL 또는 Parquet 파일로 내보냅니다.",
        "Write a version as JSONL or Parquet files.",
    ),
    "dataset.help_checkout": ("export와 같습니다.", "The same as export."),
    "dataset.help_split": (
        "분할 비율을 점검합니다. 비율을 주면 그 비율로 다시 나눈 새 버전을 만듭니다.",
        "Check how a version is split; with ratios, cut it again as a new version.",
    ),
    "dataset.help_lineage": (
        "한 행의 출처를 보여 줍니다: 파일, 문서 구간, 생성 모델, 프롬프트, 버전.",
        "Show where one row came from: file, document span, generator, prompt, versions.",
    ),
    "dataset.help_stats": ("버전의 통계를 보여 줍니다.", "Show a version's statistics."),
    "dataset.help_report": (
        "버전의 HTML 보고서 위치를 알려 줍니다. --out을 주면 그곳에 저장합니다.",
        "Tell where a version's HTML report is; with --out, save it there.",
    ),
    "dataset.help_gc": (
        "브랜치, 태그, 데이터베이스 어디에서도 쓰지 않는 버전과 조각을 지웁니다.",
        "Remove versions and parts that no branch, tag or row of the database refers to.",
    ),
    "dataset.help_verify": (
        "모든 버전의 파일이 기록 당시와 같은지 확인합니다.",
        "Check that every file of every version is what it was when written.",
    ),
    "dataset.help_archive": (
        "버전을 더 쓰지 않는다고 표시합니다.",
        "Say that a version is needed no more.",
    ),
    "dataset.help_mask": (
        '{{"text": …}} 줄로 된 JSONL 파일의 개인정보를 가립니다.',
        'Mask personal data in a JSONL file of {{"text": …}} lines.',
    ),
    "dataset.help_generate": (
        "문서에서 학습 샘플을 생성합니다 (요청 JSON 파일).",
        "Make samples from documents (JSON file of the request).",
    ),
    "dataset.help_curate": (
        "검토에서 채택한 샘플을 파일로 씁니다.",
        "Write the samples that people took, as a file for the import.",
    ),
    "dataset.arg_version": (
        "이름, 이름@브랜치·태그·커밋·v1.2, 또는 dataset_id",
        "name, name@branch, tag, commit or v1.2, or a dataset_id",
    ),
    "dataset.arg_name": ("데이터셋 이름", "Name of the dataset"),
    "dataset.opt_question": ("질문이 있는 열", "Column of the user's turn"),
    "dataset.opt_answer": ("답변이 있는 열", "Column of the assistant's turn"),
    "dataset.opt_category": ("분류가 있는 열", "Column by which splits are stratified"),
    "dataset.opt_source": ("원본 문서 이름이 있는 열", "Column that names the source document"),
    "dataset.opt_template": (
        "열 이름을 중괄호에 넣은 질문, 예: {{제목}}의 내용은?",
        "A question with column names in braces, e.g. {{title}}의 내용은?",
    ),
    "dataset.opt_context": ("질문의 대상이 되는 글이 있는 열", "Column of a text that the question is about"),
    "dataset.opt_max_rows": ("파일마다 이만큼만 가져옵니다.", "Take this many rows of each file at most."),
    "dataset.opt_propose": (
        "가져오지 않고 열의 역할을 제안합니다 (JSON).",
        "Import nothing; propose what the columns hold (JSON).",
    ),
    "dataset.opt_threshold": ("이 유사도부터 거의 같은 행으로 봅니다.", "Similarity from which rows count as the same"),
    "dataset.opt_min_quality": ("최소 품질 점수", "Least quality score"),
    "dataset.opt_policy": ("정책: 이름 또는 YAML 파일", "Policy: a name, or a YAML file"),
    "dataset.opt_suite": (
        "데이터에 들어가면 안 되는 평가 문항 파일",
        "Test case file whose questions must not occur in the data",
    ),
    "dataset.opt_unit": ("나누지 않을 단위", "What is never divided between the sides"),
    "dataset.opt_seed": ("분할의 시드", "Seed of the split"),
    "dataset.opt_sides": ("내보낼 구분 (여러 번 가능)", "Sides to write; may be repeated"),
    "dataset.opt_ratio": ("0~1의 비율, 하나는 생략 가능", "Share from 0 to 1; one of them may be left out"),
    "dataset.opt_message": ("이 병합의 설명", "What this merge is"),
    "dataset.opt_report_out": ("보고서를 저장할 파일", "File to save the report to"),
    "dataset.opt_in": ("입력 JSONL 파일", "JSONL file to read"),
    "dataset.opt_out": ("출력 JSONL 파일", "JSONL file to write"),
    "dataset.opt_pseudonyms": (
        "이 데이터셋과 같은 가명을 씁니다 (정책이 가명 처리를 정한 경우).",
        "Dataset whose pseudonyms are used, where the policy asks for pseudonyms.",
    ),
    "dataset.opt_include_waiting": (
        "아직 검토하지 않은 샘플도 포함합니다.",
        "Take also samples that nobody has looked at.",
    ),
    "dataset.arg_files": ("가져올 파일", "Files to bring in"),
    "dataset.arg_import": ("가져오기의 import_id", "The import's import_id"),
    "dataset.arg_from": ("합칠 브랜치, 태그 또는 커밋", "Branch, tag or commit to merge"),
    "dataset.arg_folder": ("새 폴더", "A new folder"),
    "dataset.arg_row": ("행의 키 또는 <파일 이름>:<줄>", "The row's key, or <file name>:<line>"),
    "dataset.arg_request": ("요청 JSON 파일, 표준 입력은 -", "JSON file of the request; - for standard input"),
    "dataset.arg_generation": ("생성의 generation_id", "The generation's generation_id"),
    "dataset.arg_tag": ("태그", "The tag"),
    "dataset.opt_branch": ("브랜치", "The branch"),
    "dataset.opt_shown": ("종류마다 보여 줄 행 수", "Rows of each kind that are shown"),
    "dataset.opt_delete": ("지웁니다.", "Delete it."),
    "dataset.opt_move": ("다른 버전에 있는 태그를 옮깁니다.", "Move a tag that names another version."),
    "dataset.opt_dry_run": ("지우지 않고 무엇을 지울지만 보여 줍니다.", "Remove nothing; tell what would be removed."),
    "dataset.none": ("데이터셋이 없습니다.", "There is no dataset yet."),
    "dataset.progress": ("{line}", "{line}"),
    "dataset.name": ("이름", "Name"),
    "dataset.versions": ("버전 수", "Versions"),
    "dataset.newest": ("최신", "Newest"),
    "dataset.rows": ("행", "Rows"),
    "dataset.sides": ("학습/검증/시험", "train/val/test"),
    "dataset.quality": ("품질", "Quality"),
    "dataset.branches": ("브랜치", "Branches"),
    "dataset.tags": ("태그", "Tags"),
    "dataset.commit": ("커밋", "Commit"),
    "dataset.version": ("버전", "Version"),
    "dataset.id": ("ID", "ID"),
    "dataset.time": ("시각 (UTC)", "Time (UTC)"),
    "dataset.operation": ("작업", "Operation"),
    "dataset.removed": ("제외", "Removed"),
    "dataset.masked": ("가림", "Masked"),
    "dataset.message": ("설명", "Message"),
    "dataset.field": ("항목", "Field"),
    "dataset.value": ("값", "Value"),
    "dataset.side": ("구분", "Side"),
    "dataset.wanted": ("목표", "Wanted"),
    "dataset.share": ("실제", "Share"),
    "dataset.groups": ("묶음", "Groups"),
    "dataset.file": ("파일", "File"),
    "dataset.problem": ("문제", "Problem"),
    "dataset.diff_title": (
        "{name}: {before} → {after}  ({rows_before:,} → {rows_after:,}행)",
        "{name}: {before} → {after}  ({rows_before:,} → {rows_after:,} rows)",
    ),
    "dataset.diff_counts": (
        "추가 {added:,}, 삭제 {removed:,}, 변경 {changed:,}, 점수만 바뀜 {rescored:,}, 그대로 {unchanged:,}",
        "{added:,} added, {removed:,} removed, {changed:,} changed, {rescored:,} rescored, {unchanged:,} unchanged",
    ),
    "dataset.diff_more": ("… 외 {count:,}행 (--rows로 더 볼 수 있습니다)", "… and {count:,} more (--rows shows them)"),
    "dataset.tagged": ("{name}@{commit}에 태그 {tag}을(를) 붙였습니다", "{name}@{commit} is tagged {tag}"),
    "dataset.branched": (
        "브랜치 {branch}이(가) {name}@{commit}에서 시작합니다",
        "Branch {branch} starts at {name}@{commit}",
    ),
    "dataset.deleted": ("{what}을(를) 지웠습니다 (커밋 {commit})", "Deleted {what} (it named {commit})"),
    "dataset.merged": (
        "{branch}에 합쳤습니다: 추가 {added:,}, 변경 {changed:,}, 삭제 {removed:,} → {name} {version}",
        "Merged into {branch}: {added:,} added, {changed:,} changed, {removed:,} removed → {name} {version}",
    ),
    "dataset.already_merged": ("이미 합쳐져 있습니다: {branch}", "Already merged: {branch}"),
    "dataset.fast_forward": (
        "{branch}을(를) {commit}(으)로 옮겼습니다 (합칠 것이 없음)",
        "{branch} was moved to {commit}: it had nothing of its own",
    ),
    "dataset.exported": ("{rows:,}행을 {folder}에 썼습니다", "Wrote {rows:,} rows to {folder}"),
    "dataset.split_even": (
        "비율이 맞습니다 (최대 차이 {deviation:.2%})",
        "The ratios are met (largest gap {deviation:.2%})",
    ),
    "dataset.split_uneven": (
        "비율이 목표와 다릅니다 (최대 차이 {deviation:.2%}). 문서 수가 적으면 나눌 수 없는 경우가 있습니다",
        "The ratios are not met (largest gap {deviation:.2%}); few large documents cannot be cut evenly",
    ),
    "dataset.split_categories": (
        "고르지 않은 분류 {count:,}개: {names}",
        "{count:,} uneven categories: {names}",
    ),
    "dataset.gc_done": (
        "버전 {commits:,}개, 조각 {parts:,}개, 중단된 작업의 파일 {unfinished:,}개를 지워 {freed}를 비웠습니다 "
        "(남은 버전 {kept:,}개)",
        "Removed {commits:,} versions, {parts:,} parts and {unfinished:,} unfinished files: {freed} "
        "({kept:,} versions kept)",
    ),
    "dataset.gc_would": (
        "지울 것: 버전 {commits:,}개, 조각 {parts:,}개, 중단된 작업의 파일 {unfinished:,}개, {freed} (남을 버전 {kept:,}개)",
        "Would remove {commits:,} versions, {parts:,} parts and {unfinished:,} unfinished files: {freed} "
        "({kept:,} versions kept)",
    ),
    "dataset.whole": (
        "버전 {commits:,}개, 조각 {parts:,}개가 모두 온전합니다",
        "{commits:,} versions with {parts:,} parts are whole",
    ),
    "dataset.damaged": ("손상된 파일 {count:,}개", "{count:,} damaged files"),
    "dataset.archived": (
        "{name} {version}을(를) 보관 처리했습니다",
        "{name} {version} is archived",
    ),
    "dataset.report_at": ("보고서: {path}", "Report: {path}"),
    "dataset.imported": (
        "{rows:,}행을 가져왔습니다 (깨진 행 {broken:,}개): {import_id}",
        "Imported {rows:,} rows ({broken:,} broken): {import_id}",
    ),
    "dataset.import_next": (
        "다음: tuneway dataset prepare {import_id}",
        "Next: tuneway dataset prepare {import_id}",
    ),
    "dataset.prepared": (
        "{name} {version} (dataset_id {dataset_id}): {rows:,}행, 제외 {removed:,}행, 가림 {masked:,}건",
        "{name} {version} (dataset_id {dataset_id}): {rows:,} rows, {removed:,} removed, {masked:,} masked",
    ),
    "dataset.generated": (
        "샘플 {accepted:,}개 ({generated:,}개 가운데), {cost:,.2f} {currency}: {path}",
        "{accepted:,} samples (of {generated:,}), {cost:,.2f} {currency}: {path}",
    ),
    "dataset.curated": (
        "{rows:,}행을 {path}에 썼습니다 (채택 {accepted:,}, 수정 {edited:,}, 대기 {waiting:,}, 거절 {rejected:,})",
        "Wrote {rows:,} rows to {path} ({accepted:,} accepted, {edited:,} edited, {waiting:,} waiting, "
        "{rejected:,} rejected)",
    ),
    "dataset.masked_file": (
        "{rows:,}행을 {path}에 썼습니다. 가린 개인정보: {counts}",
        "Wrote {rows:,} rows to {path}; masked: {counts}",
    ),
}
