"""The texts of `tuneway safety`, in Korean and English."""

SAFETY_TEXTS: dict[str, tuple[str, str]] = {
    "help.safety": (
        "안전성 시험 모음을 더합니다: 유해한 표현, 개인정보, 거절, 편향.",
        "Add the safety suites: hostile language, personal data, refusals, bias.",
    ),
    "safety.help_add": (
        "시험 모음 safety를 더합니다. --kobbq로 파일을 주면 kobbq도 더합니다. 이미 있으면 그대로 둡니다.",
        "Add the suite safety and, with the file given by --kobbq, kobbq; those that are there stay.",
    ),
    "safety.opt_kobbq": (
        "KoBBQ_test_samples.tsv의 위치 (입력 폴더 안)",
        "Where KoBBQ_test_samples.tsv is, below an input folder",
    ),
    "safety.added": ("{title}: {cases}문항", "{title}: {cases} cases"),
    "safety.evaluate_with": (
        "평가하기: tuneway evaluate 모델 --suite {name}",
        "To evaluate: tuneway evaluate MODEL --suite {name}",
    ),
}
