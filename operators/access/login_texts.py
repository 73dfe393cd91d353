"""Texts of Airflow's login page."""

LOGIN_TEXTS = {
    "ko": {
        "title": "Airflow 로그인",
        "tagline": "대시보드와 같은 계정으로 로그인합니다.",
        "username": "사용자 이름",
        "password": "비밀번호",
        "send": "로그인",
        "help": "계정이 없거나 비밀번호를 잊었다면 관리자에게 문의하시기 바랍니다.",
        "by_provider": "회사 계정으로 로그인",
        "wrong": "사용자 이름이나 비밀번호가 맞지 않거나, 계정이 잠겨 있습니다. 비밀번호를 다섯 번 틀리면 15분 동안 잠깁니다.",
        "too_many": "로그인 시도가 너무 잦습니다. 잠시 뒤에 다시 시도하시기 바랍니다.",
        "other_site": "다른 사이트에서 보낸 로그인은 받지 않습니다. 이 화면에서 다시 시도하시기 바랍니다.",
        "no_role": "회사 계정에 이 시스템을 쓸 수 있는 그룹이 없습니다. 관리자에게 문의하시기 바랍니다.",
        "name_taken": "같은 이름의 계정이 이미 있습니다. 그 계정의 비밀번호로 로그인하거나 관리자에게 문의하시기 바랍니다.",
        "unavailable": "지금은 로그인할 수 없습니다. `tuneway status`로 확인하고 잠시 뒤에 다시 시도하시기 바랍니다.",
    },
    "en": {
        "title": "Log in to Airflow",
        "tagline": "With the same account as the dashboard.",
        "username": "User name",
        "password": "Password",
        "send": "Log in",
        "help": "Without an account, or with a forgotten password, ask an administrator.",
        "by_provider": "Log in with the site's account",
        "wrong": "User name or password are wrong, or the account is locked. Five wrong passwords lock it for 15 minutes.",
        "too_many": "Too many attempts to log in. Try again in a while.",
        "other_site": "A login sent from another site is not taken. Try again on this page.",
        "no_role": "Your account at the site has no group that may use this system. Ask an administrator.",
        "name_taken": "There is an account of the same name already. Log in with its password, or ask an administrator.",
        "unavailable": "Nobody can log in at the moment. See `tuneway status`, and try again in a while.",
    },
}
