"""The texts of `tuneway audit`, in Korean and English."""

AUDIT_TEXTS: dict[str, tuple[str, str]] = {
    "help.audit": (
        "감사 기록을 검증하고, 찾고, 내보냅니다.",
        "Check, search and export the audit trail.",
    ),
    "audit.help_verify": (
        "감사 기록이 위변조되지 않았는지 전체를 검증하고, 문제가 있는 항목을 알려 줍니다. 문제가 있으면 종료 코드 1.",
        "Check the whole trail for tampering and name the entries; exit code 1 when something is found.",
    ),
    "audit.help_list": ("감사 기록을 최신순으로 찾습니다.", "Search the trail, newest first."),
    "audit.help_export": (
        "감사 기록을 파일(JSONL 또는 CSV)로 내보냅니다. 내보낸 사실도 기록에 남습니다.",
        "Write entries to a file (JSONL or CSV); the export is recorded too.",
    ),
    "audit.help_sign": (
        "현재 마지막 항목에 서명합니다. 서빙 서비스가 5분마다 하는 일을 지금 합니다.",
        "Sign the newest entry now, as the serving service does every five minutes.",
    ),
    "audit.help_key": (
        "서명을 확인할 공개 키(PEM)를 출력합니다.",
        "Print the public key (PEM) that checks signatures.",
    ),
    "audit.help_retire": (
        "보존 기간이 지난 항목을 보관 파일로 옮기고, 서명된 확인점을 남깁니다.",
        "Move entries whose time is over to an archive file, leaving a signed checkpoint.",
    ),
    "audit.opt_heads": (
        "다른 곳에 복사해 둔 서명 파일과 대조합니다.",
        "Compare with this copy of the signed heads, kept elsewhere",
    ),
    "audit.opt_key": ("공개 키 파일 (PEM)", "The public key's file (PEM)"),
    "audit.opt_since": ("이 시각부터 (예: 2026-01-31)", "From this time on, e.g. 2026-01-31"),
    "audit.opt_until": ("이 시각 전까지", "Before this time"),
    "audit.opt_actor": ("행위자", "Who did it"),
    "audit.opt_action": ("행위 (model.*처럼 앞부분만 써도 됩니다)", "The action, or its beginning, as model.*"),
    "audit.opt_subject": ("대상 (dataset/*처럼 앞부분만 써도 됩니다)", "The subject, or its beginning, as dataset/*"),
    "audit.opt_category": ("정보주체의 구분", "Whose personal data"),
    "audit.opt_result": ("결과", "How it ended"),
    "audit.opt_text": ("항목 어디든 들어 있는 글자", "Anywhere in the entry"),
    "audit.opt_limit": ("최대 항목 수", "At most so many entries"),
    "audit.opt_before": ("이 번호보다 앞선 항목", "Only entries before this number"),
    "audit.opt_purpose": ("내보내는 목적. 감사 기록에 남습니다.", "Why; kept in the audit trail"),
    "audit.opt_format": ("파일 형식", "The file's format"),
    "audit.arg_file": ("새로 만들 파일", "The file to write"),
    "audit.none": ("해당하는 항목이 없습니다", "No entry matches"),
    "audit.more": ("더 보기: --before {before}", "For more: --before {before}"),
    "audit.whole": (
        "감사 기록이 온전합니다: {entries}건 (번호 {first}~{last}), 서명 {heads}개와 일치",
        "The audit trail is whole: {entries} entries (number {first} to {last}), in agreement with {heads} signatures",
    ),
    "audit.empty": ("감사 기록이 비어 있습니다", "The audit trail is empty"),
    "audit.broken": ("감사 기록에서 문제 {count}건을 찾았습니다", "{count} problems in the audit trail"),
    "audit.more_problems": ("그 밖에 {count}건", "and {count} more"),
    "audit.unsigned": (
        "마지막 서명 뒤의 {count}건은 데이터베이스 관리자가 지워도 드러나지 않습니다. `tuneway audit sign`으로 서명합니다",
        "{count} entries after the last signature: the database's owner could cut them unseen. Sign with `tuneway audit sign`",
    ),
    "audit.never_signed": (
        "서명이 하나도 없습니다. 기록의 끝이 잘리거나 전체가 다시 쓰여도 드러나지 않습니다",
        "There is no signature: a cut tail, or a chain made anew, would not show",
    ),
    "audit.protected_by_trigger": (
        "감사 테이블의 소유자가 플랫폼 계정이라 트리거로만 보호됩니다. DB 관리자에게 tuneway_audit 역할을 요청하세요 (docs/security/audit.md)",
        "The platform's own account owns the table, so only triggers protect it. Ask the database's administrator for the"
        " role tuneway_audit (docs/security/audit.md)",
    ),
    "audit.protected_by_superuser": (
        "플랫폼 계정이 DB 슈퍼유저(내장 PostgreSQL)라 트리거로만 보호됩니다. 그 뒤의 변경은 서명으로 드러납니다",
        "The platform's account is the database's superuser (embedded PostgreSQL): triggers protect the table, and"
        " signatures show what is done behind them",
    ),
    "audit.refused_line": (
        "서명 파일 {line}번째 줄의 서명이 맞지 않거나 순서가 어긋납니다",
        "Line {line} of the signed heads bears no genuine signature, or is out of order",
    ),
    "audit.retired_before": (
        "{through}번까지는 보존 기간이 지나 서명과 함께 정리되었습니다",
        "Entries up to {through} were retired after their time, with a signature",
    ),
    "audit.edited": ("{at}: 내용이 수정됨", "{at}: edited"),
    "audit.column_edited": (
        "{at}: 검색용 열이 수정됨 (원문은 그대로)",
        "{at}: a column was edited, not the entry itself",
    ),
    "audit.replaced": ("{at}: 다른 항목으로 바뀜", "{at}: replaced by another entry"),
    "audit.deleted": ("{at}: 삭제됨", "{at}: deleted"),
    "audit.inserted": ("{at}: 끼워 넣어짐", "{at}: inserted"),
    "audit.moved": ("{at}: 자리가 바뀜 (원래 {moved_from}번)", "{at}: moved (was number {moved_from})"),
    "audit.rewritten": (
        "{at}: 이 가운데 하나 이상이 바뀌고 뒤가 모두 다시 쓰임",
        "{at}: at least one of these was exchanged, and all after it written anew",
    ),
    "audit.beginning_cut": ("{at}: 앞부분이 잘려 나감", "{at}: cut off at the beginning"),
    "audit.tail_cut": ("{at}: 끝부분이 잘려 나감", "{at}: cut off at the end"),
    "audit.forged_signature": ("{at}: 확인점의 서명이 맞지 않음", "{at}: the checkpoint's signature is not genuine"),
    "audit.exported": ("{entries}건을 {path}에 썼습니다", "{entries} entries written to {path}"),
    "audit.signed": ("{id}번까지 서명했습니다", "Signed up to number {id}"),
    "audit.nothing_to_sign": ("마지막 서명 뒤에 새 항목이 없습니다", "Nothing was added since the last signature"),
    "audit.retired": (
        "{entries}건을 정리하고 {archive}에 보관했습니다",
        "{entries} entries retired; kept in {archive}",
    ),
    "audit.nothing_to_retire": ("보존 기간이 지난 항목이 없습니다", "No entry is old enough"),
    "audit.checking": ("검증하는 중: {entries}건", "Checking: {entries} entries"),
    "audit.col_id": ("번호", "No."),
    "audit.col_at": ("시각", "When"),
    "audit.col_actor": ("행위자", "Who"),
    "audit.col_origin": ("접속지", "From"),
    "audit.col_action": ("행위", "What"),
    "audit.col_subject": ("대상", "On"),
    "audit.col_result": ("결과", "Result"),
    "audit.col_purpose": ("목적", "Why"),
}
