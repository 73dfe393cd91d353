"""The texts of `tuneway user` and `tuneway token`, in Korean and English."""

IDENTITY_TEXTS: dict[str, tuple[str, str]] = {
    "help.user": (
        "플랫폼을 쓰는 계정과 그 역할을 관리합니다.",
        "Say who may use the platform, and as what.",
    ),
    "help.token": (
        "CI와 다른 프로그램이 API를 호출할 때 쓰는 서비스 계정의 키를 관리합니다.",
        "Manage the keys with which CI and other programs call the API.",
    ),
    "user.help_add": (
        "계정을 만듭니다. 비밀번호를 주지 않으면 무작위로 만들어 한 번만 보여 줍니다.",
        "Make an account; without a password a random one is made and shown once.",
    ),
    "user.help_list": ("모든 계정을 보여 줍니다.", "List every account."),
    "user.help_disable": (
        "계정을 막습니다. 열려 있는 로그인과 키도 바로 거부됩니다.",
        "Let an account in no more; its sessions and keys are refused at once.",
    ),
    "user.help_enable": ("막은 계정을 다시 엽니다.", "Let a disabled account in again."),
    "user.help_set_password": (
        "비밀번호를 바꿉니다. 잠금이 풀리고 열려 있는 로그인은 모두 끝납니다.",
        "Set another password; a lock goes away and every session of the account ends.",
    ),
    "user.help_grant": (
        "역할과 프로젝트를 바꿉니다. 로그인한 사람에게도 바로 적용됩니다.",
        "Change role and projects; at once, also for those logged in.",
    ),
    "user.arg_name": ("계정 이름", "The account's name"),
    "user.opt_role": (
        "admin: 모든 권한, ml_engineer: 학습과 배포, analyst: A/B 테스트와 분석, viewer: 조회만",
        "admin: everything; ml_engineer: trains and deploys; analyst: A/B tests and analysis; viewer: reads",
    ),
    "user.opt_project": (
        "계정이 속한 프로젝트 (여러 번 줄 수 있음)",
        "A project that the account belongs to; may be given several times",
    ),
    "user.opt_no_project": ("모든 프로젝트에서 뺍니다.", "Take the account out of every project."),
    "user.opt_service": (
        "사람이 아니라 프로그램의 계정입니다. 비밀번호 없이 키만 씁니다.",
        "The account of a program: keys, no password",
    ),
    "user.opt_password": (
        "비밀번호가 든 파일 또는 환경 변수의 이름",
        "A file that holds the password, or the name of an environment variable",
    ),
    "user.added": ("계정을 만들었습니다: {name}", "Account made: {name}"),
    "user.password_set": ("비밀번호를 바꾸었습니다: {name}", "Password set: {name}"),
    "user.shown_once": (
        "위 비밀번호는 다시 볼 수 없습니다. 안전한 곳에 보관하세요.",
        "The password above cannot be shown again: keep it in a safe place.",
    ),
    "user.granted": ("{name}: 역할 {role}, 프로젝트 {projects}", "{name}: role {role}, projects {projects}"),
    "user.enabled": ("계정을 다시 열었습니다: {name}", "Account enabled: {name}"),
    "user.disabled": ("계정을 막았습니다: {name}", "Account disabled: {name}"),
    "user.name": ("이름", "name"),
    "user.kind": ("종류", "kind"),
    "user.role": ("역할", "role"),
    "user.projects": ("프로젝트", "projects"),
    "user.state": ("상태", "state"),
    "user.kind_person": ("사람", "person"),
    "user.kind_service": ("프로그램", "program"),
    "user.active": ("사용 중", "active"),
    "user.inactive": ("막힘", "disabled"),
    "token.help_create": (
        "서비스 계정의 키를 만들어 한 번만 보여 줍니다.",
        "Make a key for a service account; it is shown once.",
    ),
    "token.help_list": (
        "키 목록을 보여 줍니다 (키 자체는 나오지 않음).",
        "List the keys, without the keys themselves.",
    ),
    "token.help_revoke": ("키를 폐기합니다. 바로 거부됩니다.", "Take a key back; it is refused at once."),
    "token.arg_account": ("서비스 계정의 이름", "The service account's name"),
    "token.arg_prefix": (
        "키의 앞부분 (tuneway token list에 나오는 12자)",
        "The key's prefix: 12 characters of `tuneway token list`",
    ),
    "token.opt_scope": (
        "키로 할 수 있는 일: 자원:동작 (예: job:read, ab_test:*). 여러 번 줄 수 있음",
        "What the key may do: resource:action (job:read, ab_test:*); may be given several times",
    ),
    "token.opt_name": ("키를 알아볼 이름", "What the key is for"),
    "token.opt_days": ("키가 유효한 날수 (최대 366)", "Days until it expires, 366 at most"),
    "token.created": ("키 {prefix}, {expires}까지", "Key {prefix}, until {expires}"),
    "token.shown_once": (
        "위 키는 다시 볼 수 없습니다. CI의 비밀 변수에 바로 넣으세요.",
        "The key above cannot be shown again: put it into your CI's secrets now.",
    ),
    "token.revoked": ("키 {prefix} ({account})를 폐기했습니다", "Key {prefix} ({account}) revoked"),
    "token.none": ("키가 없습니다", "There are no keys"),
    "token.prefix": ("앞부분", "prefix"),
    "token.account": ("계정", "account"),
    "token.name": ("이름", "name"),
    "token.scopes": ("범위", "scopes"),
    "token.expires": ("만료", "expires"),
    "token.state": ("상태", "state"),
    "token.is_revoked": ("폐기됨", "revoked"),
    "token.is_good": ("유효", "good"),
}
