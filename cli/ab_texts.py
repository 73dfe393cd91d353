"""The texts of `tuneway ab`, in Korean and English."""

AB_TEXTS: dict[str, tuple[str, str]] = {
    "help.ab": (
        "A/B 테스트: 필요한 표본 수를 계산하고, 통계 방법을 모의실험으로 확인합니다.",
        "A/B tests: plan their size, and check the statistics by simulation.",
    ),
    "ab.help_plan": (
        "찾고 싶은 차이에 필요한 표본 수와 기간, 주어진 표본 수로 찾을 수 있는 차이를 알려 줍니다.",
        "Tell how many samples and days a difference needs, and what a given number of samples can find.",
    ),
    "ab.help_simulate": (
        "가상의 A/B 테스트를 수천 번 반복해 오판율을 기준과 비교합니다. 기준에 못 미치면 종료 코드 1로 끝납니다.",
        "Repeat simulated A/B tests thousands of times and hold their error rates against the bars; exit code 1 where one is missed.",
    ),
    "ab.opt_effect": (
        "찾고 싶은 가장 작은 차이 (평점은 점, 응답 시간은 비율: 0.1은 10 %)",
        "Smallest difference worth finding (rating points; for response times a share, 0.1 is ten per cent)",
    ),
    "ab.opt_metric": (
        "지표: user_rating, response_time_ms, success_rate",
        "user_rating, response_time_ms or success_rate",
    ),
    "ab.opt_samples": (
        "두 모델을 합쳐 모을 수 있는 표본 수. 이 수로 무엇을 찾을 수 있는지 알려 줍니다.",
        "Samples of both models that can be had, to see what they can find",
    ),
    "ab.opt_split": ("트래픽 비율, A 먼저", "Traffic split, A first"),
    "ab.opt_power": ("차이가 있을 때 찾아낼 확률", "Chance to find the difference if it is there"),
    "ab.opt_alpha": (
        "차이가 없는데 승자를 선언할 확률의 상한",
        "Highest chance of a winner where there is no difference",
    ),
    "ab.opt_per_user": ("사용자 한 명이 남기는 평균 표본 수", "Samples that one user gives, on average"),
    "ab.opt_icc": (
        "한 사용자의 표본이 서로 닮은 정도 (0에서 1)",
        "How alike the samples of one user are (0 to 1)",
    ),
    "ab.opt_count_variation": (
        "사용자별 표본 수의 변동 계수 (모두 같으면 0)",
        "Coefficient of variation of the number of samples a user (0: all the same)",
    ),
    "ab.opt_per_day": ("하루에 모이는 표본 수 (두 모델 합계)", "Samples of both models that come in on one day"),
    "ab.opt_spread": (
        "표본 하나의 표준 편차 (응답 시간은 로그 값의 표준 편차)",
        "Standard deviation of one sample (for response times of its logarithm)",
    ),
    "ab.opt_base_rate": ("success_rate: 현재 모델의 성공률", "success_rate: the present model's rate"),
    "ab.opt_scenario": ("이 시나리오만 실행합니다 (여러 번 쓸 수 있음).", "Only this scenario (may be repeated)"),
    "ab.opt_experiments": ("시나리오마다 반복할 실험 수", "Experiments a scenario"),
    "ab.opt_quick": ("적은 횟수로 빠르게 훑어봅니다.", "Fewer experiments, for a quick look"),
    "ab.unit_user_rating": ("점", "rating points"),
    "ab.unit_response_time_ms": ("(비율)", "(share)"),
    "ab.unit_success_rate": ("(비율)", "(share)"),
    "ab.plan_needed": (
        "{effect}{unit} 차이를 {power}의 확률로 찾으려면 A {a}건, B {b}건, 모두 {total}건이 필요합니다 (마지막에 한 번만 볼 때).",
        "A difference of {effect} {unit}: {total} samples find it with {power} chance, {a} of A and {b} of B (looking once, at the end).",
    ),
    "ab.plan_with_looks": (
        "진행 중에 언제든 결과를 보려면 모두 {total}건이 필요합니다.",
        "Looking at any time takes {total} samples in all.",
    ),
    "ab.plan_users": (
        "사용자마다 표본 {per_user}건이 서로 닮아 있어(ICC {icc}) {factor}배가 필요합니다. 사용자 수로는 A {a}명, B {b}명입니다.",
        "The {per_user} samples of a user are alike (ICC {icc}), which takes {factor} times as many: {a} users of A, {b} of B.",
    ),
    "ab.plan_days": ("하루 {per_day}건이면 {days}일이 걸립니다.", "At {per_day} samples a day this takes {days} days."),
    "ab.plan_samples": (
        "{samples}건으로는 {detectable}{unit} 이상의 차이를 {power}의 확률로 찾을 수 있습니다. {effect}{unit} 차이를 찾을 확률은 {chance}입니다.",
        "{samples} samples find {detectable} {unit} with {power} chance; {effect} {unit} with {chance}.",
    ),
    "ab.plan_outlook": (
        "사용자 {users}명으로 계획하면: 차이를 찾을 확률 {power}, 평균 {mean}명에서 결론, 차이가 없는데 승자를 선언할 확률 {false}.",
        "Planned with {users} users: the difference is found with {power} chance, on average after {mean} users; a winner without a difference in {false}.",
    ),
    "ab.plan_too_small": (
        "표본이 부족해 찾고 싶은 차이를 놓칠 가능성이 큽니다. 표본 수를 늘리거나, 그대로 시작하려면 따로 확인해야 합니다.",
        "That is too few: the difference will probably be missed. Plan more samples; starting anyway takes a confirmation.",
    ),
    "ab.simulating": (
        "시나리오마다 실험 {experiments}회를 모의실험하는 중",
        "Simulating {experiments} experiments a scenario",
    ),
    "ab.missed": ("기준에 못 미친 시나리오: {scenarios}", "Bars missed: {scenarios}"),
    "ab.result_at_most": (
        "{scenario}: {measured} ± {error} (기준 {bar} 이하)",
        "{scenario}: {measured} ± {error} (bar: at most {bar})",
    ),
    "ab.result_at_least": (
        "{scenario}: {measured} ± {error} (기준 {bar} 이상)",
        "{scenario}: {measured} ± {error} (bar: at least {bar})",
    ),
}
