"""The texts of `tuneway privacy`, in Korean and English."""

PRIVACY_TEXTS: dict[str, tuple[str, str]] = {
    "help.privacy": (
        "정보주체의 데이터가 어디에 있는지 찾고, 모두 삭제하고, 삭제 확인서를 발급합니다.",
        "Find a person's data, delete it everywhere, and certify the deletion.",
    ),
    "privacy.help_find": (
        "업로드 중인 파일, 가져온 원본, 모든 데이터셋 버전, 생성한 샘플, 선호 쌍, 테스트 케이스, 평가 답변, 전문가 평가, 대화 기록에서 이 사람의 행을 찾고, 영향을 받은 모델을 보여 줍니다.",
        "Find the person's rows in uploads, imports, every dataset version, generated samples, preference pairs, test cases, "
        "answers kept with evaluations, ratings and the chat's log, and the models that learned from them.",
    ),
    "privacy.help_erase": (
        "찾은 행을 모두 삭제하고 서명된 확인서를 발급합니다. 중단되면 같은 명령으로 이어서 합니다.",
        "Delete these rows everywhere and issue the signed certificate. Killed, the same command goes on.",
    ),
    "privacy.help_certificates": ("발급한 삭제 확인서를 모두 보여 줍니다.", "List every deletion certificate."),
    "privacy.help_verify": (
        "삭제 확인서의 서명을 검증합니다. 맞지 않으면 종료 코드 1.",
        "Check the signature of a deletion certificate; exit code 1 when it is not genuine.",
    ),
    "privacy.arg_subject": (
        "이 사람을 가리키는 값: 전화번호, 주민등록번호, 이메일, 이름 등. 여러 개를 줄 수 있고, `계좌번호:110-…`처럼 종류를 붙일 수 있습니다. `-`는 표준 입력에서 한 줄에 하나씩 읽습니다(셸 기록에 남지 않음).",
        "What the person is known by: telephone number, resident number, e-mail address, name … Several may be given, "
        "with their kind where it cannot be told (`account_number:110-…`). `-` reads them from standard input, one a line: "
        "the shell's history then does not keep them.",
    ),
    "privacy.opt_reason": (
        "사유 (예: 삭제 요청 접수번호). 감사 기록과 확인서에 남습니다.",
        "Why, such as the number of the request; kept in the audit trail and the certificate",
    ),
    "privacy.opt_shared": (
        "이름이나 주소처럼 다른 사람도 가질 수 있는 값만 나오는 행도 삭제합니다.",
        "Delete rows too that show only what others may have as well, such as a name or an address",
    ),
    "privacy.opt_yes": ("묻지 않고 삭제합니다.", "Delete without asking"),
    "privacy.opt_key": ("공개 키 파일 (PEM)", "The public key's file (PEM)"),
    "privacy.arg_certificate": ("확인서 파일 또는 번호", "The certificate's file or id"),
    "privacy.reading": ("{what} 읽는 중 {done}/{total}", "{what}: {done} of {total}"),
    "privacy.nothing": (
        "이 사람의 행이 없습니다 ({rows}행을 읽었습니다)",
        "No row tells of this person ({rows} rows read)",
    ),
    "privacy.found": (
        "확실한 행 {certain}개, 다른 사람일 수도 있는 행 {shared}개 ({rows}행을 읽었습니다)",
        "{certain} rows for certain, {shared} that may be about somebody else ({rows} rows read)",
    ),
    "privacy.place": (
        "  {kind} {name}: 확실 {certain}행, 다른 사람일 수 있음 {shared}행",
        "  {kind} {name}: {certain} for certain, {shared} perhaps",
    ),
    "privacy.model": (
        "  이 행으로 학습한 모델: {label} ({through}). 모델은 이 삭제로 잊지 않습니다. 다시 학습하세요.",
        "  A model that learned from them: {label} ({through}). It does not forget by this: train it again.",
    ),
    "privacy.source": (
        "  직접 지워야 하는 원본 파일: {path}",
        "  A source file that you have to delete yourself: {path}",
    ),
    "privacy.unreadable": (
        "  읽을 수 없음 (키가 폐기됨): {place}",
        "  Unreadable, its key was erased: {place}",
    ),
    "privacy.backups": (
        "백업에 남아 있는 사본은 백업의 보존 기간이 지나면 사라집니다.",
        "Copies in backups go when the backups' time is over.",
    ),
    "privacy.really": (
        "{certain}행을 되돌릴 수 없게 삭제할까요?",
        "Delete {certain} rows for good?",
    ),
    "privacy.erased": ("{rows}행을 삭제했습니다. 확인서: {path}", "{rows} rows deleted. Certificate: {path}"),
    "privacy.kept": (
        "다른 사람일 수도 있는 {shared}행은 남겼습니다 (--with-shared로 함께 삭제)",
        "{shared} rows that may be about somebody else stay (--with-shared deletes them too)",
    ),
    "privacy.certificate": (
        "{certificate_id}  {finished_at}  {rows}행  {reason}",
        "{certificate_id}  {finished_at}  {rows} rows  {reason}",
    ),
    "privacy.no_certificates": ("발급한 확인서가 없습니다", "No certificate was issued yet"),
    "privacy.genuine": ("확인서 {certificate_id}의 서명이 맞습니다", "Certificate {certificate_id} is genuine"),
    "privacy.forged": (
        "확인서 {certificate_id}의 서명이 맞지 않습니다: 내용이 바뀌었거나 다른 곳의 확인서입니다",
        "Certificate {certificate_id} is not genuine: it was changed, or is another installation's",
    ),
    "privacy.kind_import": ("가져온 원본", "import"),
    "privacy.kind_quarantine": ("격리된 행", "quarantined rows of"),
    "privacy.kind_version": ("데이터셋 버전", "dataset version"),
    "privacy.kind_preferences": ("선호 쌍", "preference pairs"),
    "privacy.kind_generation": ("생성 작업", "generated samples"),
    "privacy.kind_review": ("검토 대기 샘플", "samples to review"),
    "privacy.kind_traffic": ("대화 기록", "the chat's log"),
    "privacy.kind_upload": ("업로드 중인 파일", "uploaded file"),
    "privacy.kind_test_case": ("테스트 케이스", "test cases of"),
    "privacy.kind_evaluation": ("평가 답변", "answers kept with"),
    "privacy.kind_rating": ("전문가·심사 평가", "ratings"),
}
