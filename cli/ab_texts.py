"""The texts of `tuneway ab`, in Korean and English."""

AB_TEXTS: dict[str, tuple[str, str]] = {
    "help.ab": (
        "A/B 테스트: 계획하고, 시작하고, 결과를 보고, 끝냅니다. 통계 방법을 모의실험으로 확인합니다.",
        "A/B tests: plan, start, read and end them; check the statistics by simulation.",
    ),
    "ab.help_plan": (
        "찾고 싶은 차이에 필요한 표본 수와 기간, 주어진 표본 수로 찾을 수 있는 차이를 알려 줍니다.",
        "Tell how many samples and days a difference needs, and what a given number of samples can find.",
    ),
    "ab.help_simulate": (
        "가상의 A/B 테스트를 수천 번 반복해 오판율을 기준과 비교합니다. 기준에 못 미치면 종료 코드 1로 끝납니다.",
        "Repeat simulated A/B tests thousands of times and hold their error rates against the bars; exit code 1 where one is missed.",
    ),
    "ab.help_replay": (
        "사용자가 남긴 질문이나 평가 모음을 두 모델에 똑같이 묻고 답을 짝지어 비교합니다. 트래픽이 적을 때 쓰며, 이 결과만으로 모델이 바뀌지 않습니다.",
        "Put recorded questions, or a suite, to both models and compare the answers in pairs: for thin traffic; it promotes nothing by itself.",
    ),
    "ab.opt_challenger": (
        "새 모델이 여럿일 때 현재 모델과 비교할 것의 이름 (기본값: 첫째)",
        "Which of several new models is compared with the present one, by its name in the test (default: the first)",
    ),
    "ab.opt_questions": (
        "물을 질문의 수. 시작할 때 정해지고 판정은 모두 답한 뒤 한 번만 합니다.",
        "How many questions; planned at the start, the verdict comes once, when all are answered",
    ),
    "ab.opt_suite": (
        "기록된 질문 대신 쓸 평가 모음의 이름이나 문항 파일",
        "Managed suite or file of test cases in place of recorded questions",
    ),
    "ab.opt_system_prompt": (
        "두 모델에 똑같이 줄 시스템 프롬프트 (기록에는 남지 않습니다)",
        "System prompt for both models (records do not hold it)",
    ),
    "ab.opt_judge_url": (
        "심사 모델의 OpenAI 호환 주소. 없으면 규칙으로만 비교합니다.",
        "OpenAI-compatible endpoint of the judge; without one rules alone compare",
    ),
    "ab.opt_judge_model": ("그 주소의 심사 모델 이름", "The judge's name there"),
    "ab.opt_replay_margin": (
        "이보다 작은 차이는 의미 없는 것으로 봅니다 (이긴 몫 − 진 몫)",
        "Differences smaller than this do not matter (share won less share lost)",
    ),
    "ab.opt_max_answer_tokens": ("답변의 최대 토큰 수", "Tokens an answer may have"),
    "ab.opt_concurrency": (
        "서비스 중인 모델에 한꺼번에 보낼 질문의 수",
        "Questions at a time to the models, which serve users too",
    ),
    "ab.opt_again": (
        "끝난 리플레이가 있어도 새로 합니다. 허용하는 오판 확률은 5분의 1이 됩니다.",
        "Another replay although there is one, at a fifth of the error rate",
    ),
    "ab.opt_dry_run": ("아무것도 묻지 않고 계획만 보여 줍니다.", "Show the plan, ask nothing"),
    "ab.replay_plan": (
        "질문 {questions}개(독립 단위 {units}개)를 {a}와 {b}에 묻습니다. 판정 기준은 {decides}, 오판 확률은 {alpha} 이하, 80 % 확률로 찾는 차이는 {detectable}입니다.",
        "{questions} questions ({units} independent units) go to {a} and {b}. Decided by {decides} with at most {alpha} false winners; a difference of {detectable} is found with 80 % chance.",
    ),
    "ab.replay_judge": ("심사 모델", "the judge"),
    "ab.replay_rules": ("규칙", "rules"),
    "ab.replay_done": (
        "리플레이 {number}이(가) 끝났습니다. 오프라인 근거이며, 이 결과만으로 모델이 바뀌지 않습니다.",
        "Replay {number} has ended. It is offline evidence and promotes nothing by itself.",
    ),
    "ab.replay_reading": (
        "{measure}: B 승 {wins_b}, A 승 {wins_a}, 무승부 {ties}. 차이(B − A) {difference}, {level} 구간 {lower}에서 {upper}, {p} (한 번만 유효)",
        "{measure}: B won {wins_b}, A {wins_a}, ties {ties}. Difference (B − A) {difference}, {level} interval {lower} to {upper}, {p} (valid once)",
    ),
    "ab.replay_none": ("{measure}: 비교할 수 있는 답이 없습니다.", "{measure}: no answers to compare."),
    "ab.replay_consistency": (
        "심사 모델이 순서를 바꾸어도 같은 판정을 한 비율 {share}",
        "The judge said the same in both orders on {share} of the pairs",
    ),
    "ab.replay_excluded": ("비교에서 뺀 질문: {reasons}", "Questions left out: {reasons}"),
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
    "ab.opt_challengers": (
        "현재 모델과 비교할 새 모델의 수. 2 이상이면 --split, --samples, --per-day를 함께 쓸 수 없습니다.",
        "New models that are compared with the present one; from 2 on without --split, --samples and --per-day",
    ),
    "ab.plan_several": (
        "새 모델 {challengers}개 각각의 {effect}{unit} 차이를 {power}의 확률로 찾으려면 현재 모델 {control}건, 새 모델마다 {each}건, 모두 {total}건이 필요합니다 (진행 중에 언제든 보려면 {looks}건). 현재 모델의 몫은 {share}가 가장 유리합니다.",
        "A difference of {effect} {unit} of each of {challengers} new models: {total} samples find it with {power} chance, {control} of the present model and {each} of each new one ({looks} looking at any time). The present model's best share is {share}.",
    ),
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
    "ab.help_create": (
        "배포된 모델 버전 둘(--a, --b) 또는 여럿(--arm)의 A/B 테스트를 시작합니다. 표본이 부족하면 --yes로 확인해야 시작합니다.",
        "Start an A/B test of two deployed model versions (--a, --b) or of several (--arm). One that is too small starts only with --yes.",
    ),
    "ab.help_list": ("A/B 테스트의 목록을 보여 줍니다.", "List the A/B tests."),
    "ab.help_results": (
        "판정, 효과와 신뢰 구간, 가드레일, 배정 비율을 보여 줍니다.",
        "Show verdict, effect with its interval, guardrails and sample ratio.",
    ),
    "ab.help_conclude": (
        "A/B 테스트를 끝냅니다. 새 모델을 승자로 하면 운영에 올립니다. 승인을 기다리는 테스트의 답도 됩니다.",
        "End an A/B test; a new model that wins goes into production. Also the answer to a test that waits for approval.",
    ),
    "ab.help_drop": (
        "여러 새 모델 가운데 하나를 테스트에서 뺍니다. 그 모델을 쓰던 사용자만 나머지 모델로 옮기고 테스트는 계속합니다.",
        "Drop one of several new models: only its users move to the others, and the test goes on.",
    ),
    "ab.arg_arm": ("뺄 쪽의 이름", "Name of the arm to drop"),
    "ab.opt_arm": (
        "쪽의 이름과 모델, 필요하면 몫 (여러 번 쓰며 첫째가 현재 모델). 예: c=assistant@4:0.2. 몫이 없으면 표본이 가장 적게 드는 비율로 나눕니다.",
        "Name and model of an arm, perhaps its share, as c=assistant@4:0.2; repeated, the present model first. Without shares the split is the one that needs fewest samples",
    ),
    "ab.dropped": (
        "{name}: {arm}을(를) 뺐습니다. 나머지 모델로 계속합니다",
        "{name}: {arm} is dropped; the test goes on with the others",
    ),
    "ab.model_of_arm": ("{arm} 모델 {model}", "{arm} model {model}"),
    "ab.outcome_open": (
        "아직 판정하지 않았습니다({open}). 현재 모델과 비교할 사용자가 새 모델마다 많게는 약 {needed}명 더 필요합니다.",
        "Not decided yet for {open}: up to about {needed} more users of each new model and the present one are needed.",
    ),
    "ab.outcome_leads": (
        "새 모델({arm})이 현재 모델({control})보다 좋습니다. 아직 판정하지 않은 {open}의 결과를 기다리며, 사용자가 많게는 약 {needed}명 더 필요합니다.",
        "The new model ({arm}) is better than the present one ({control}); {open} is not decided yet: up to about {needed} more users are needed.",
    ),
    "ab.outcome_promotes": (
        "새 모델({arm})이 현재 모델({control})보다 좋습니다.",
        "The new model ({arm}) is better than the present one ({control}).",
    ),
    "ab.outcome_keeps": (
        "현재 모델({control})이 계속 서비스합니다. 새 모델은 모두 더 나쁘거나 안전장치를 어겼습니다.",
        "The present model ({control}) keeps the traffic: every new model is worse or does harm.",
    ),
    "ab.outcome_nobody": (
        "현재 모델({control})보다 좋은 새 모델이 확인되지 않았습니다.",
        "No new model is shown to be better than the present one ({control}).",
    ),
    "ab.outcome_ended": ("판정이 나기 전에 끝났습니다.", "It ended before it could be decided."),
    "ab.challenger": ("{arm}: {verdict}", "{arm}: {verdict}"),
    "ab.challenger_better_a": ("현재 모델보다 나쁩니다", "worse than the present model"),
    "ab.challenger_better_b": ("현재 모델보다 좋습니다", "better than the present model"),
    "ab.challenger_no_relevant_difference": ("의미 있는 차이가 없습니다", "no difference that matters"),
    "ab.challenger_inconclusive": ("차이가 확인되지 않았습니다", "no difference is shown at the planned size"),
    "ab.challenger_keep_going": ("아직 판정하지 않았습니다", "not decided yet"),
    "ab.challenger_taken_out": ("테스트에서 뺐습니다", "dropped"),
    "ab.ratio_fine_of_arms": (
        "배정 비율 정상(괄호 안은 계획): {counted}",
        "Sample ratio as planned (users, planned in brackets): {counted}",
    ),
    "ab.ratio_alarm_of_arms": (
        "배정 비율 이상(괄호 안은 계획): {counted}. 판정을 보류합니다",
        "Sample ratio wrong (users, planned in brackets): {counted}. The verdict is held",
    ),
    "ab.arg_name": ("A/B 테스트의 이름", "The A/B test's name"),
    "ab.arg_test": (
        "이름이나 번호. running은 진행 중인 테스트",
        "Name or id; running is the one that takes traffic",
    ),
    "ab.opt_model_a": ("현재 모델 (이름@버전 또는 model:번호)", "The present model (name@version or model:id)"),
    "ab.opt_model_b": ("새 모델", "The new model"),
    "ab.opt_margin": (
        "이보다 작은 차이는 의미가 없습니다. 생략하면 찾고 싶은 차이와 같습니다.",
        "Differences smaller than this do not matter; the effect unless given",
    ),
    "ab.opt_create_samples": (
        "두 모델을 합쳐 모을 표본 수. 생략하면 필요한 만큼 계획합니다.",
        "Samples of both models to be gathered; as many as it takes unless given",
    ),
    "ab.opt_decided_metric": ("지표: user_rating, response_time_ms", "user_rating or response_time_ms"),
    "ab.opt_policy": (
        "결론이 나면: auto 자동 승격, approve 승격 전 승인, notify 알림만. 되돌리기는 승인을 기다리지 않습니다.",
        "On a verdict: auto promotes, approve asks before a promotion, notify only tells. Going back asks nobody but with notify.",
    ),
    "ab.opt_keep_loser": (
        "테스트가 끝난 뒤에도 진 모델을 내리지 않습니다.",
        "Keep the losing model in service after the test",
    ),
    "ab.opt_layer_share": (
        "이 테스트에 내줄 전체 사용자의 몫 (0.001에서 1). 나머지는 운영 모델의 답을 받거나 다른 테스트에 참여합니다.",
        "Share of all users for this test (0.001 to 1); the others get the production model, or take part in other tests",
    ),
    "ab.opt_make_room": (
        "남은 사용자가 모자라면 오래된 테스트부터 중지합니다. 중지한 테스트의 결과는 남습니다.",
        "Stop running tests, the oldest first, where too few users are left; their results are kept",
    ),
    "ab.opt_holdout": (
        "끝까지 운영 모델만 쓸 사용자의 몫",
        "Share of the users who keep the production model throughout",
    ),
    "ab.opt_ramp": (
        "새 모델의 몫(여럿이면 합계)을 단계별로 늘립니다: 몫:시작 후 시간 (여러 번 쓸 수 있음). 예: 0.05:24",
        "Raise the new models' share step by step: share:hours after the start, as 0.05:24 (may be repeated)",
    ),
    "ab.opt_starts_at": (
        "사용자를 받기 시작할 시각. 예: 2026-12-01T09:00",
        "When it begins to take users, as 2026-12-01T09:00",
    ),
    "ab.opt_ends_at": (
        "이 시각부터 모두 운영 모델의 답을 받습니다.",
        "From then on everyone gets the production model",
    ),
    "ab.opt_tester": (
        "이 사용자는 항상 이 모델의 답을 받습니다: 사용자=쪽의 이름 (여러 번 쓸 수 있음). 비교에 넣지 않습니다.",
        "This user always gets this arm, and counts in no comparison: USER=ARM (may be repeated)",
    ),
    "ab.opt_yes": (
        "표본이 부족해 차이를 놓칠 가능성이 커도 시작합니다.",
        "Start although the difference will probably be missed",
    ),
    "ab.opt_reason": ("이유. 감사 기록에 남습니다", "Why; kept in the audit trail"),
    "ab.opt_winner": (
        "승자인 쪽의 이름. 둘이면 a(현재 모델) 또는 b(새 모델)",
        "The winner's arm; of two a (present model) or b (new model)",
    ),
    "ab.opt_no_winner": (
        "승자 없이 끝냅니다. 현재 모델이 계속 서비스합니다.",
        "End it without a winner; the present model stays",
    ),
    "ab.opt_override": (
        "게이트를 통과하지 못했거나 테스트에서 뺀 모델도 올립니다. 이유와 함께 감사 기록에 남습니다",
        "Promote it also without a passed gate, or after it was dropped; audited with the reason",
    ),
    "ab.started": ("A/B 테스트 {name}({id}번)을 시작했습니다", "A/B test {name} (id {id}) has started"),
    "ab.started_plan": (
        "계획: 표본 {samples}건, 사용자 {users}명. {effect} 차이를 찾을 확률 {power}",
        "Planned: {samples} samples, {users} users; an effect of {effect} is found with {power} chance",
    ),
    "ab.policy_auto": ("결론이 나면 자동으로 승격합니다", "The winner goes into production by itself"),
    "ab.policy_approve": (
        "승격은 승인을 받습니다. 새 모델이 해로우면 자동으로 되돌립니다",
        "A promotion waits for your approval; a harmful model is rolled back by itself",
    ),
    "ab.policy_notify": ("결론을 알려 드리기만 합니다", "You are told the verdict, nothing more"),
    "ab.none": ("A/B 테스트가 없습니다", "There are no A/B tests"),
    "ab.line": (
        "{id}  {name}  {status}  {arms}  {split}  사용자의 {share}  시작 {started}",
        "{id}  {name}  {status}  {arms}  {split}  {share} of the users  started {started}",
    ),
    "ab.status_running": ("진행 중", "running"),
    "ab.status_completed": ("완료", "completed"),
    "ab.status_stopped": ("중지", "stopped"),
    "ab.verdict_better_a": ("현재 모델(A)이 더 좋습니다.", "The present model (A) is better."),
    "ab.verdict_better_b": ("새 모델(B)이 더 좋습니다.", "The new model (B) is better."),
    "ab.verdict_no_relevant_difference": (
        "의미 있는 차이가 없습니다.",
        "There is no difference that matters.",
    ),
    "ab.verdict_inconclusive": (
        "계획한 사용자를 모두 채웠지만 차이가 확인되지 않았습니다.",
        "All planned users are there, and neither a winner nor the absence of a difference is shown.",
    ),
    "ab.verdict_keep_going": (
        "아직 판정하지 않았습니다. 사용자가 약 {needed}명 더 필요합니다.",
        "Cannot be decided yet: about {needed} more users are needed.",
    ),
    "ab.verdict_guardrail": (
        "새 모델(B)이 안전장치를 어겨 되돌렸습니다: {guardrails}.",
        "The new model (B) does harm and is rolled back: {guardrails}.",
    ),
    "ab.verdict_ended": ("판정이 나기 전에 끝났습니다.", "It ended before it could be decided."),
    "ab.users_so_far": ("사용자 {users}명 / 계획 {planned}명", "{users} of {planned} planned users"),
    "ab.difference": (
        "차이({challenger} − {control}) {difference}, 언제 봐도 유효한 {level} 구간 [{lower}, {upper}]",
        "Difference ({challenger} − {control}) {difference}; {level} interval that holds at every look [{lower}, {upper}]",
    ),
    "ab.difference_final": (
        "차이({challenger} − {control}) {difference}, 마지막 검정의 {level} 구간 [{lower}, {upper}]",
        "Difference ({challenger} − {control}) {difference}; {level} interval of the final test [{lower}, {upper}]",
    ),
    "ab.corrected": (
        "일찍 끝난 데 따른 과장을 바로잡은 차이: {corrected}",
        "Without the exaggeration of stopping early: {corrected}",
    ),
    "ab.arm": (
        "{arm}: 모델 {model}, 사용자 {users}명, 답변 {answers}건, 평점 {ratings}건, 평균 {mean}, 응답 시간 {time} ms",
        "{arm}: model {model}, {users} users, {answers} answers, {ratings} ratings, mean {mean}, response time {time} ms",
    ),
    "ab.times": (
        "{challenger}의 응답 시간은 {control}의 {ratio}배 (95 % 구간 [{lower}, {upper}])",
        "{challenger} takes {ratio} times as long as {control} (95 % interval [{lower}, {upper}])",
    ),
    "ab.ratio_fine": (
        "배정 비율 정상: A {a}명, B {b}명 (계획상 B {planned}명)",
        "Sample ratio as planned: {a} users of A, {b} of B (planned for B: {planned})",
    ),
    "ab.ratio_alarm": (
        "배정 비율 이상: A {a}명, B {b}명 (계획상 B {planned}명). 판정을 보류합니다",
        "Sample ratio wrong: {a} users of A, {b} of B (planned for B: {planned}). The verdict is held",
    ),
    "ab.guardrail_kept": ("안전장치 {name}: 정상 (나빠진 정도 {harm})", "Guardrail {name}: kept (harm {harm})"),
    "ab.guardrail_breached": (
        "안전장치 {name}: 위반 (나빠진 정도 {harm})",
        "Guardrail {name}: breached (harm {harm})",
    ),
    "ab.naive_p": (
        "고전적 t 검정 {p}: 계획한 {planned}명이 모였을 때 한 번만 유효하며 아무것도 결정하지 않습니다",
        "Classical t test {p}: valid once, at the planned {planned} users; it decides nothing",
    ),
    "ab.mixed": (
        "두 모델의 답을 모두 받아 제외한 사용자: {mixed}명",
        "Users put aside because both models answered them: {mixed}",
    ),
    "ab.waits": (
        "결론이 승인을 기다립니다: tuneway ab conclude {name} --winner {arm} --reason … {obstacle}",
        "The decision waits for an answer: tuneway ab conclude {name} --winner {arm} --reason … {obstacle}",
    ),
    "ab.waits_obstacle": (
        "결론을 실행하지 못했습니다: {obstacle} ({name})",
        "The decision cannot be carried out: {obstacle} ({name})",
    ),
    "ab.concluded_kept": (
        "{name}: 현재 모델({arm})이 계속 서비스합니다",
        "{name}: the present model ({arm}) keeps the traffic",
    ),
    "ab.concluded_promoted": (
        "{name}: 새 모델({arm})이 서비스를 맡습니다",
        "{name}: the new model ({arm}) takes the traffic",
    ),
    "ab.concluded_none": (
        "{name}: 승자 없이 끝났습니다. 현재 모델({arm})이 계속 서비스합니다",
        "{name}: ended without a winner; the present model ({arm}) keeps the traffic",
    ),
}
