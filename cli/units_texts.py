"""What `tuneway units` says, in Korean and English."""

UNITS_TEXTS: dict[str, tuple[str, str]] = {
    "help.units": (
        "컨테이너 없이 부팅할 때 시작하도록 systemd 유닛을 씁니다.",
        "Write systemd units, for a host that starts the platform at boot without containers.",
    ),
    "units.opt_directory": ("유닛을 쓸 폴더", "Folder for the units"),
    "units.opt_user": ("플랫폼을 실행할 계정", "Account that runs the platform"),
    "units.done": ("유닛 {count}개를 {directory}에 썼습니다.", "Wrote {count} units to {directory}."),
    "units.next": (
        """다음 (root로, {data_dir}는 {account} 계정의 폴더여야 합니다):
  install -d -m 755 /etc/tuneway && install -m 600 {directory}/tuneway.env /etc/tuneway/
  install -m 644 {directory}/tuneway*.service {directory}/tuneway.target /etc/systemd/system/
  systemctl daemon-reload && systemctl enable --now tuneway.target""",
        """Next (as root; {data_dir} belongs to the account {account}):
  install -d -m 755 /etc/tuneway && install -m 600 {directory}/tuneway.env /etc/tuneway/
  install -m 644 {directory}/tuneway*.service {directory}/tuneway.target /etc/systemd/system/
  systemctl daemon-reload && systemctl enable --now tuneway.target""",
    ),
}
