"""What `tuneway bundle` says, in Korean and English."""

BUNDLE_TEXTS: dict[str, tuple[str, str]] = {
    "help.bundle": (
        "인터넷이 없는 곳에 설치할 파일 하나를 만듭니다.",
        "Make one archive for a site without internet.",
    ),
    "bundle.opt_to": ("파일을 둘 폴더", "Folder for the archive"),
    "bundle.opt_key": (
        "서명할 개인키 (기본: TUNEWAY_SIGNING_KEY)",
        "Private key that signs it (default: TUNEWAY_SIGNING_KEY)",
    ),
    "bundle.opt_with_vllm": ("vLLM 환경도 담습니다.", "With vLLM's environment."),
    "bundle.opt_uncommitted": (
        "커밋하지 않은 변경도 그대로 담습니다.",
        "Bundle changes that are not committed too.",
    ),
    "bundle.opt_glibc": (
        "설치할 곳의 GNU C 라이브러리 버전 (Rocky Linux 8은 2.28). 그 버전에서 실행되는 휠만 담습니다.",
        "GNU C library of the site (2.28 for Rocky Linux 8): only wheels that run there are taken.",
    ),
    "bundle.done": (
        "만들었습니다: {archive}, {size}, {seconds:.0f}초",
        "Made {archive}, {size}, in {seconds:.0f} s",
    ),
    "bundle.contents": (
        "파일 {files:,}개, 휠 {wheels:,}개, torch {torch}, GNU C 라이브러리 {glibc} 이상",
        "{files:,} files, {wheels:,} wheels, torch {torch}, GNU C library {glibc} or newer",
    ),
    "bundle.sha256": ("SHA-256 {sha256}, 서명자 {signer}", "SHA-256 {sha256}, signer {signer}"),
    "bundle.next": (
        "다음: 파일과 공개키를 서로 다른 경로로 옮기고 `tar xf`로 푼 뒤 `sh install.sh --public-key 공개키.pem --to 설치폴더`를 실행하십시오.",
        "Next: take the archive and the public key over by two ways, unpack it with `tar xf` and run "
        "`sh install.sh --public-key PUBLIC.pem --to FOLDER`.",
    ),
}
