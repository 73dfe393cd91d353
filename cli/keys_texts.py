"""The texts of `tuneway keys`, in Korean and English."""

KEYS_TEXTS: dict[str, tuple[str, str]] = {
    "help.keys": (
        "암호화 키의 상태를 보고, 새 키로 바꾸고, 키를 지웁니다.",
        "Encryption keys: see, renew and erase them.",
    ),
    "keys.help_status": (
        "어떤 키가 무엇을 보호하는지 보여 줍니다.",
        "Show which key protects what.",
    ),
    "keys.help_rotate": (
        "새 마스터 키를 만들어 모든 데이터 키를 다시 감쌉니다. 중단되어도 다시 실행하면 이어집니다.",
        "Make a new key-encryption key and wrap every key by it. Killed, it goes on when it is run again.",
    ),
    "keys.help_show": (
        "암호화된 파일의 내용을 표준 출력에 씁니다. 누가 왜 보았는지 감사 기록에 남습니다.",
        "Write what an encrypted file holds to standard output. Who looked, and why, is kept in the audit trail.",
    ),
    "keys.arg_file": ("데이터 폴더 안의 암호화된 파일", "An encrypted file in the data folder"),
    "keys.opt_reason": ("보는 이유. 감사 기록에 남습니다.", "Why; kept in the audit trail"),
    "keys.help_erase": (
        "데이터셋의 키를 지웁니다. 백업까지 포함하여 모든 사본을 영영 읽을 수 없게 됩니다.",
        "Erase a dataset's key: every copy of it, backups too, can never be read again.",
    ),
    "keys.arg_scope": (
        "데이터셋 이름, 또는 `status`가 보여 주는 범위(예: traffic)",
        "A dataset's name, or a scope that `status` shows, such as traffic",
    ),
    "keys.opt_no_new_key": (
        "마스터 키를 새로 만들지 않고, 이미 있는 가장 새 키로 다시 감쌉니다.",
        "Make no new key-encryption key; wrap by the newest one that is there.",
    ),
    "keys.opt_file_keys": (
        "데이터셋마다 새 키를 주고 모든 파일의 머리글을 다시 씁니다(내용은 그대로). 데이터를 준비하는 중에는 실행하지 마십시오.",
        "Also give each dataset a new key and rewrite every file's header (not its content). Not while data is prepared.",
    ),
    "keys.opt_yes": ("되묻지 않습니다.", "Do not ask back."),
    "keys.newest": (
        "마스터 키: {newest}. 이전 마스터 키로 감싼 키: {behind}개",
        "Key-encryption key: {newest}. Keys that an older one wraps: {behind}",
    ),
    "keys.scope": (
        "{scope}: 키 {keys}개, 암호화된 파일 {files}개, 지운 키 {erased}개",
        "{scope}: {keys} keys, {files} encrypted files, {erased} erased keys",
    ),
    "keys.nothing": ("아직 암호화된 것이 없습니다.", "Nothing is encrypted yet."),
    "keys.header": ("파일 머리글 {done}개를 다시 썼습니다", "Rewrote {done} headers"),
    "keys.rotated": (
        "마스터 키 {newest}로 키 {rewrapped}개를 다시 감쌌습니다. 파일 머리글 {headers}개를 다시 쓰고 옛 키 {retired}개를 버렸습니다.",
        "{rewrapped} keys are wrapped by {newest}; {headers} headers rewritten, {retired} older keys dropped.",
    ),
    "keys.really": (
        "{scope}의 키를 지우면 되돌릴 수 없습니다. 지울까요?",
        "Erasing the key of {scope} cannot be undone. Erase it?",
    ),
    "keys.erased": (
        "{scope}의 키를 지웠습니다. 이 키로 암호화한 것은 더 이상 읽을 수 없습니다.",
        "The key of {scope} is gone; nothing that it encrypted can be read any more.",
    ),
}
