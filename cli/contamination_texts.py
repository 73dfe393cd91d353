"""The texts of `tuneway contamination`, in Korean and English."""

CONTAMINATION_TEXTS: dict[str, tuple[str, str]] = {
    "help.contamination": (
        "학습 데이터가 시험 문항을 담고 있는지 찾습니다. 담고 있으면 종료 코드 3으로 끝납니다.",
        "Look for test cases in training data; exit code 3 where there are some.",
    ),
    "contamination.arg_dataset": (
        "데이터셋 버전: <이름>, <이름>@<버전>, 또는 dataset_id",
        "A dataset version: <name>, <name>@<version>, or its dataset_id",
    ),
    "contamination.arg_suite": (
        "시험 문항: 관리하는 문항집의 이름이나 파일의 경로",
        "Test cases: the name of a managed suite, or the path of a file",
    ),
    "contamination.opt_held_out": (
        "문항의 출처 문서는 아예 학습하지 않기로 했습니다: 그 문서에서 나온 행도 오염으로 봅니다.",
        "The cases' documents were not to be trained on at all: rows from them count too.",
    ),
    "contamination.opt_edited_share": (
        "글자가 이 몫까지 달라도 같은 질문으로 봅니다.",
        "A question with up to this share of its characters changed counts as the same.",
    ),
    "contamination.opt_override": (
        "겹치는 문항을 그대로 인정하는 이유(10자 이상). 감사 기록에 남습니다.",
        "Why the cases that are found may count all the same (10 characters or more); kept in the audit log.",
    ),
    "contamination.looking": ("학습 행 {done} / {total} 확인 중", "Looked at {done} of {total} training rows"),
    "contamination.clean": (
        "‘{suite}’의 {cases}문항은 {dataset}의 학습 행 {rows}건 어디에도 없습니다 (보고서 {report}번).",
        "None of the {cases} cases of {suite} is in the {rows} training rows of {dataset} (report {report}).",
    ),
    "contamination.found": (
        "‘{suite}’의 {cases}문항 중 {found}문항이 {dataset}의 학습 행 {rows}건에 들어 있습니다 (보고서 {report}번).",
        "{found} of the {cases} cases of {suite} are in the {rows} training rows of {dataset} (report {report}).",
    ),
    "contamination.kind_exact": ("  같은 질문: {count}문항", "  the same question: {count} cases"),
    "contamination.kind_near": ("  몇 글자만 다른 질문: {count}문항", "  a few characters changed: {count} cases"),
    "contamination.kind_contained": (
        "  긴 글 속에 든 질문: {count}문항",
        "  the question inside a longer text: {count} cases",
    ),
    "contamination.kind_ngram": ("  지문의 대부분이 겹침: {count}문항", "  most of the text in common: {count} cases"),
    "contamination.kind_document": (
        "  학습하지 않기로 한 문서: {count}문항",
        "  from a document that was to be held out: {count} cases",
    ),
    "contamination.name_exact": ("같음", "the same"),
    "contamination.name_near": ("거의 같음", "nearly the same"),
    "contamination.name_contained": ("글 속에 있음", "inside"),
    "contamination.name_ngram": ("지문 겹침", "text in common"),
    "contamination.name_document": ("같은 문서", "same document"),
    "contamination.more": (
        "그 밖에 {count}쌍이 더 있습니다. --json으로 모두 볼 수 있습니다.",
        "{count} pairs more; --json shows them.",
    ),
    "contamination.same_document": (
        "참고: {count}문항은 학습 행과 같은 문서에서 나왔습니다. 문서를 따로 떼어 두기로 했다면 --documents-held-out으로 확인하십시오.",
        "Note: {count} cases come from documents that training rows come from too. Were they to be held out, use "
        "--documents-held-out.",
    ),
    "contamination.overridden": ("{who}이(가) 인정함: {reason}", "Let count by {who}: {reason}"),
    "contamination.next": (
        "이 데이터로 학습한 모델은 ‘{suite}’으로 합격할 수 없습니다. 겹치는 행을 빼고 새 버전을 만들거나(test_suites에 문항 파일을 "
        "넣으면 자동으로 빠집니다), --override로 이유를 남기십시오.",
        "A model trained on this data cannot pass on {suite}. Prepare the dataset with the suite among test_suites, which "
        "takes the rows out, or give a reason with --override.",
    ),
}
