"""The texts of `tuneway backup`, `verify-backup` and `restore`, in Korean and English."""

BACKUP_TEXTS: dict[str, tuple[str, str]] = {
    "help.backup": (
        "실행 중인 설치를 백업합니다. 데이터와 키를 서로 다른 저장소에 암호화해 담고, 바뀐 내용만 더합니다.",
        "Back up the running installation: data and keys in two encrypted repositories, only what has changed is added.",
    ),
    "help.verify_backup": (
        "백업을 처음부터 끝까지 읽어 복원할 수 있는지 확인합니다. 복원할 수 없는 것이 있으면 종료 코드 3.",
        "Read a backup through: can everything in it be restored? Exit code 3 where not.",
    ),
    "help.restore": (
        "빈 데이터 폴더에 백업을 복원합니다. 중단되면 같은 명령으로 이어서 합니다.",
        "Restore a backup into an empty data folder. Interrupted, the same command goes on.",
    ),
    "backup.opt_to": ("데이터를 담을 저장소 폴더", "Folder of the repository for the data"),
    "backup.opt_keys_to": (
        "비밀값과 키를 담을 저장소 폴더. 데이터와 다른 곳에 보관하십시오.",
        "Folder of the repository for secrets and keys; keep it in another place than the data",
    ),
    "backup.opt_key": (
        "백업 키 파일. 데이터 폴더와 저장소 밖에 두십시오.",
        "The backup key's file, outside the data folder and the repositories",
    ),
    "backup.opt_new_key": ("키 파일이 없으면 만듭니다.", "Make the key file where there is none"),
    "backup.opt_keep": (
        "저장소마다 최근 스냅샷을 이만큼만 남깁니다.",
        "Keep so many of the newest snapshots in each repository",
    ),
    "backup.opt_from": ("데이터 저장소 폴더", "Folder of the repository with the data"),
    "backup.opt_keys_from": ("키 저장소 폴더", "Folder of the repository with the keys"),
    "backup.opt_snapshot": ("데이터 스냅샷 (기본: 최근)", "Snapshot of the data (default: the newest)"),
    "backup.opt_keys_snapshot": ("키 스냅샷 (기본: 최근)", "Snapshot of the keys (default: the newest)"),
    "backup.opt_dry_run": ("복원할 내용만 보여 주고 아무것도 쓰지 않습니다.", "Only show what would be restored"),
    "backup.arg_repository": ("저장소 폴더", "The repository's folder"),
    "backup.opt_mend": (
        "손상된 조각을 따로 치워, 다음 백업이 같은 내용을 다시 담게 합니다.",
        "Set damaged objects aside, so that the next backup writes their content again",
    ),
    "backup.key_made": (
        "백업 키를 만들었습니다: {path}. 이 파일 없이는 아무도 백업을 읽을 수 없습니다. 서로 다른 두 곳에 사본을 보관하십시오.",
        "The backup key was made: {path}. Nobody can read the backup without it: keep copies in two places.",
    ),
    "backup.done": (
        "{contents} 스냅샷 {snapshot}: 파일 {files:,}개(변경 없음 {unchanged:,}개), 데이터베이스 {databases}, 전체 {size}, 저장소 증가 {written}, {seconds:.1f}초",
        "{contents} snapshot {snapshot}: {files:,} files ({unchanged:,} unchanged), databases {databases}, {size} in all, "
        "the repository grew by {written}, {seconds:.1f} s",
    ),
    "backup.vanished": (
        "백업하는 동안 사라진 파일 {count:,}개는 담지 않았습니다.",
        "{count:,} files vanished while the backup was made and are not in it.",
    ),
    "backup.removed": ("오래된 스냅샷 {count}개를 지웠습니다.", "{count} old snapshots were removed."),
    "backup.contents_data": ("데이터", "Data"),
    "backup.contents_keys": ("키", "Keys"),
    "backup.check_line": (
        "{made_at:%Y-%m-%d %H:%M:%S} UTC  {snapshot}  {size}  {verdict}",
        "{made_at:%Y-%m-%d %H:%M:%S} UTC  {snapshot}  {size}  {verdict}",
    ),
    "backup.whole": ("복원 가능", "can be restored"),
    "backup.not_whole": ("손상: {paths}", "damaged: {paths}"),
    "backup.unreadable": ("스냅샷 {snapshot}을 읽을 수 없습니다.", "The snapshot {snapshot} cannot be read."),
    "backup.checked": (
        "조각 {objects:,}개를 {seconds:.1f}초에 읽었고, 손상된 조각은 {damaged:,}개입니다.",
        "{objects:,} objects were read in {seconds:.1f} s, {damaged:,} of them damaged.",
    ),
    "backup.set_aside": (
        "손상된 조각 {count:,}개를 damaged/로 치웠습니다. 지금 백업하면 같은 내용이 다시 담깁니다.",
        "{count:,} damaged objects were set aside in damaged/. A backup made now writes their content again.",
    ),
    "backup.would_restore": (
        "{made_at:%Y-%m-%d %H:%M:%S} UTC의 스냅샷 {snapshot}을 {folder}에 복원합니다: 파일 {files:,}개, 데이터베이스 {databases}, {size}. 아무것도 쓰지 않았습니다.",
        "The snapshot {snapshot} of {made_at:%Y-%m-%d %H:%M:%S} UTC would be restored to {folder}: {files:,} files, databases "
        "{databases}, {size}. Nothing was written.",
    ),
    "backup.restored": (
        "{folder}에 복원했습니다: 파일 {files:,}개, 데이터베이스 {databases}, {size}, {seconds:.1f}초. 감사 기록 {entries:,}건을 검증했습니다.",
        "Restored to {folder}: {files:,} files, databases {databases}, {size}, {seconds:.1f} s. {entries:,} entries of the audit "
        "trail were verified.",
    ),
    "backup.audit_broken": (
        "감사 기록이 백업하기 전에 이미 바뀌어 있었습니다. `tuneway audit verify`로 확인하십시오.",
        "The audit trail had been changed before it was backed up: see `tuneway audit verify`.",
    ),
    "backup.now_up": ("다음: `tuneway up`", "Next: `tuneway up`"),
}
