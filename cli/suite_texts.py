"""The texts of `tuneway suite`, in Korean and English."""

SUITE_TEXTS: dict[str, tuple[str, str]] = {
    "help.suite": (
        "시험 세트를 관리합니다: 가져오기, 고치기, 잠그기, 비교, 내보내기.",
        "Keep test suites: import, edit, lock, compare, export.",
    ),
    "suite.help_list": ("시험 세트를 모두 보여 줍니다.", "List the test suites."),
    "suite.help_show": (
        "시험 세트 하나의 버전과 분류를, --cases를 주면 문항까지 보여 줍니다.",
        "Show a suite's versions and categories; with --cases its cases too.",
    ),
    "suite.help_import": (
        "문항 파일(CSV, XLSX, JSONL)을 시험 세트의 다음 버전으로 가져옵니다. 잘못된 행이 하나라도 있으면 모두 알려 주고 아무것도 "
        "가져오지 않습니다.",
        "Bring a file of cases (CSV, XLSX, JSONL) in as the suite's next version. With any wrong row all are told and "
        "nothing is brought in.",
    ),
    "suite.help_template": (
        "채워 넣을 문항 파일을 만듭니다. 열과 채점 방식의 설명, 채점 방식마다 예시가 들어 있습니다.",
        "Write a file to fill in, with columns and scorers explained and one example each.",
    ),
    "suite.help_export": (
        "시험 세트를 파일로 내보냅니다. 다시 가져오면 같은 문항입니다.",
        "Write a suite to a file; imported again it is the same.",
    ),
    "suite.help_edit": (
        "문항 하나를 고치거나 새로 넣습니다. 잠긴 버전이면 다음 버전이 만들어집니다.",
        "Change a case or add one. Of a locked version the next one is made.",
    ),
    "suite.help_remove": ("문항 하나를 뺍니다.", "Take a case out."),
    "suite.help_lock": (
        "버전을 잠급니다. 잠근 버전은 다시 바뀌지 않습니다.",
        "Lock a version; it never changes again.",
    ),
    "suite.help_diff": ("두 버전에서 달라진 문항을 보여 줍니다.", "Show what changed between two versions."),
    "suite.help_archive": (
        "버전을 보관 처리합니다. 평가 결과는 남습니다.",
        "Take a version out of use; its results stay.",
    ),
    "suite.arg_suite": ("시험 세트: 이름 또는 이름@버전", "The suite: NAME or NAME@VERSION"),
    "suite.arg_after": (
        "비교할 다른 버전. 비우면 앞의 버전과 가장 새 버전을 비교합니다",
        "The other version; without it the newest one",
    ),
    "suite.arg_name": (
        "시험 세트의 이름 (소문자, 숫자, 점, 붙임표, 밑줄)",
        "Name of the suite (lower-case letters, digits, dots, hyphens, underscores)",
    ),
    "suite.arg_file": ("문항 파일", "The file of cases"),
    "suite.arg_out": ("만들 파일 (.xlsx, .csv, .jsonl)", "The file to write (.xlsx, .csv, .jsonl)"),
    "suite.arg_case": ("문항의 번호", "The case's id"),
    "suite.opt_archived": ("보관 처리한 것도 보여 줍니다", "Show archived ones too"),
    "suite.opt_cases": ("문항도 보여 줍니다", "Show the cases too"),
    "suite.opt_category": ("이 분류의 문항만", "Cases of this category only"),
    "suite.opt_search": ("번호, 질문, 정답에서 찾습니다", "Find in ids, questions and accepted answers"),
    "suite.opt_limit": ("보여 줄 최대 문항 수", "Cases shown at most"),
    "suite.opt_description": ("시험 세트의 설명", "A description of the suite"),
    "suite.opt_add": (
        "가장 새 버전의 문항에 더합니다. 주지 않으면 파일이 전체 문항입니다",
        "Add to the newest version's cases; else the file holds all cases",
    ),
    "suite.opt_dry_run": ("무엇을 가져올지만 알려 줍니다", "Only tell what would be brought in"),
    "suite.opt_set": (
        "열=값. 여러 번 쓸 수 있습니다. 예: --set 정답='5년|오 년' --set 채점=일치",
        "COLUMN=VALUE, several times: --set accepted_answers='5 years|five years' --set scorer=exact",
    ),
    "suite.opt_by": ("누가 하는지. 비우면 로그인한 사용자", "Who does it; the logged-in user unless given"),
    "suite.opt_yes": ("묻지 않습니다", "Do not ask"),
    "suite.opt_overwrite": ("파일이 있으면 덮어씁니다", "Replace the file if it is there"),
    "suite.none": (
        "시험 세트가 없습니다. tuneway suite template cases.xlsx로 채워 넣을 파일을 만들 수 있습니다",
        "There are no test suites. `tuneway suite template cases.xlsx` writes a file to fill in",
    ),
    "suite.lock_question": (
        "{title}({count:,}문항)을 잠그시겠습니까? 잠근 버전은 다시 바꿀 수 없습니다",
        "Lock {title} ({count:,} cases)? A locked version cannot be changed again",
    ),
    "suite.locked": ("{title}을(를) 잠갔습니다 ({by}, {at})", "{title} is locked ({by}, {at})"),
    "suite.archived": ("{title}을(를) 보관 처리했습니다", "{title} is archived"),
    "suite.imported": (
        "{title}: {cases:,}문항을 가져왔습니다 (추가 {added:,}, 삭제 {removed:,}, 변경 {changed:,})",
        "{title}: {cases:,} cases ({added:,} added, {removed:,} removed, {changed:,} changed)",
    ),
    "suite.same": (
        "{title}과(와) 같은 문항입니다. 새 버전을 만들지 않았습니다",
        "The same cases as {title}; no new version was made",
    ),
    "suite.would_import": (
        "가져올 수 있습니다: {cases:,}문항 (추가 {added:,}, 삭제 {removed:,}, 변경 {changed:,})",
        "Can be brought in: {cases:,} cases ({added:,} added, {removed:,} removed, {changed:,} changed)",
    ),
    "suite.problems": (
        "잘못된 행이 {count:,}개 있어 가져올 수 없습니다",
        "{count:,} wrong rows: nothing can be brought in",
    ),
    "suite.more_problems": ("그 밖에 {count:,}개", "and {count:,} more"),
    "suite.note": ("참고: {note}", "Note: {note}"),
    "suite.edited": ("{title}: {case}을(를) 저장했습니다", "{title}: {case} is stored"),
    "suite.removed": ("{title}: {case}을(를) 뺐습니다", "{title}: {case} is taken out"),
    "suite.written": ("{path}에 썼습니다", "Wrote {path}"),
    "suite.import_next": (
        "다음: 문항을 살펴보고 tuneway suite lock {name}",
        "Next: look through the cases, then tuneway suite lock {name}",
    ),
    "suite.template_next": (
        "다음: 채워 넣은 뒤 tuneway suite import 이름 {path} --dry-run",
        "Next: fill it in, then tuneway suite import NAME {path} --dry-run",
    ),
    "suite.diff_title": (
        "{before} → {after}: 추가 {added:,}, 삭제 {removed:,}, 변경 {changed:,}, 같음 {same:,}",
        "{before} → {after}: {added:,} added, {removed:,} removed, {changed:,} changed, {same:,} the same",
    ),
    "suite.shown_of": ("{shown:,} / {total:,}문항", "{shown:,} of {total:,} cases"),
    "suite.name": ("이름", "Name"),
    "suite.version": ("버전", "Version"),
    "suite.status": ("상태", "State"),
    "suite.kind": ("종류", "Kind"),
    "suite.count": ("문항 수", "Cases"),
    "suite.versions": ("버전 수", "Versions"),
    "suite.locked_version": ("잠긴 버전", "Locked"),
    "suite.categories": ("분류", "Categories"),
    "suite.description": ("설명", "Description"),
    "suite.made": ("만든 때", "Made"),
    "suite.locked_column": ("잠금", "Locked"),
    "suite.case": ("번호", "Case"),
    "suite.category": ("분류", "Category"),
    "suite.question": ("질문", "Question"),
    "suite.answers": ("정답", "Accepted answers"),
    "suite.scorer": ("채점", "Scorer"),
    "suite.edited_column": ("고친 사람", "Edited by"),
    "suite.row": ("행", "Row"),
    "suite.problem": ("문제", "Problem"),
    "suite.state_draft": ("작성 중", "draft"),
    "suite.state_locked": ("잠김", "locked"),
    "suite.state_archived": ("보관", "archived"),
}
