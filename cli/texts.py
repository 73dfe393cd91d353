"""Every text the command line shows, in Korean and English."""

from cli.ab_texts import AB_TEXTS
from cli.audit_texts import AUDIT_TEXTS
from cli.backup_texts import BACKUP_TEXTS
from cli.bundle_texts import BUNDLE_TEXTS
from cli.contamination_texts import CONTAMINATION_TEXTS
from cli.dataset_texts import DATASET_TEXTS
from cli.deploy_texts import DEPLOY_TEXTS
from cli.docs_texts import DOCS_TEXTS
from cli.evaluate_texts import EVALUATE_TEXTS
from cli.identity_texts import IDENTITY_TEXTS
from cli.job_texts import JOB_TEXTS
from cli.keys_texts import KEYS_TEXTS
from cli.model_texts import MODEL_TEXTS
from cli.privacy_texts import PRIVACY_TEXTS
from cli.ratings_texts import RATINGS_TEXTS
from cli.run_texts import RUN_TEXTS
from cli.safety_texts import SAFETY_TEXTS
from cli.suite_texts import SUITE_TEXTS
from cli.sweep_texts import SWEEP_TEXTS
from cli.train_texts import TRAIN_TEXTS
from cli.units_texts import UNITS_TEXTS

TEXTS: dict[str, tuple[str, str]] = {
    # help
    "help.app": (
        "Tuneway: 조직 안에서 언어 모델을 미세조정하고, 평가하고, 배포하고, 비교합니다.",
        "Tuneway: fine-tune, judge, serve and compare language models inside one organisation.",
    ),
    "help.up": (
        "플랫폼을 시작합니다. 이미 실행 중인 것은 그대로 둡니다.",
        "Start the platform, or what of it does not run.",
    ),
    "help.up_names": (
        "시작할 프로세스 (생략하면 전부, PostgreSQL은 항상 포함)",
        "Only these processes (PostgreSQL always)",
    ),
    "help.up_wait": ("모든 프로세스가 준비될 때까지 기다립니다.", "Return when every process is ready."),
    "help.up_timeout": (
        "이 시간(초) 안에 준비되지 않으면 실패로 봅니다.",
        "Seconds after which a process counts as failed.",
    ),
    "help.down": (
        "이 설치가 시작한 프로세스를 모두, 그리고 그것만 종료합니다.",
        "End everything this installation started, and only that.",
    ),
    "help.restart": ("프로세스 하나를 다시 시작합니다.", "Stop one process and start it again."),
    "help.process": ("tuneway status에 나오는 프로세스", "A process of `tuneway status`"),
    "help.status": (
        "프로세스와 실행 중인 작업, 자원 사용량을 보여 줍니다.",
        "Show the processes, the running jobs and what they use.",
    ),
    "help.logs": ("프로세스나 작업의 로그를 보여 줍니다.", "Show the log of a process or a job."),
    "help.logs_name": ("프로세스 또는 작업 이름", "A process of `tuneway status`, or a job"),
    "help.logs_follow": ("추가되는 내용을 계속 보여 줍니다.", "Go on showing what is added."),
    "help.logs_lines": ("끝에서부터 보여 줄 줄 수", "Lines from the end"),
    "help.doctor": (
        "포트, 디스크, 메모리, 버전, GPU, 데이터베이스, 권한을 점검하고 조치를 알려 줍니다.",
        "Check ports, disk, memory, versions, GPU, database and permissions, each with what to do.",
    ),
    "help.doctor_deep": (
        "Airflow와 vLLM이 실제로 구동되는지도 확인합니다 (약 20초).",
        "Also try out Airflow's application and vLLM (about 20 s).",
    ),
    "help.stage": (
        "단계 하나를 실행합니다. 요청 파일을 읽고 결과 레코드를 JSON으로 표준 출력에 씁니다.",
        "Run one stage: a request in, the record as JSON on standard output.",
    ),
    "help.stage_name": ("예: import_dataset, prepare, train", "E.g. import_dataset, prepare, train"),
    "help.stage_request": ("요청 JSON 파일, 표준 입력은 -", "JSON file of the request; - for standard input"),
    "help.pipeline": (
        "Airflow(원격 포함)의 DAG를 실행하고 진행을 지켜봅니다.",
        "Trigger and follow DAG runs of an Airflow, also a remote one.",
    ),
    "help.demo": (
        "데모 자료로 전체 파이프라인을 실행합니다. 문서에서 시작해 모델 배포까지 진행합니다.",
        "Run the whole pipeline on the demo input, from documents to a served model.",
    ),
    "help.summary": (
        "파이프라인 실행 결과를 보여 줍니다: 데이터, 정확도, 판정, 모델, 접속 주소.",
        "Show what a pipeline run made: data, accuracy, verdict, model, endpoint.",
    ),
    "help.migrate": (
        "없는 비밀값을 만들고 데이터베이스 스키마를 설치된 버전에 맞춥니다.",
        "Make missing secrets and bring the databases to the installed versions' schemas.",
    ),
    "help.run": (
        "프로세스 하나를 포그라운드로 실행합니다. 컨테이너나 다른 관리 도구에서 사용합니다.",
        "Become one process of the platform, in the foreground: for containers and other supervisors.",
    ),
    "help.airflow": (
        "이 설치의 Airflow에 대해 Airflow 명령을 실행합니다.",
        "Run a command of Airflow's own command line against this installation.",
    ),
    "help.by": ("누가. 생략하면 로그인한 사용자", "Who; the logged-in user unless given"),
    "help.prune": (
        "오래되어 아무도 쓰지 않는 파일을 규칙대로 지웁니다.",
        "Remove what is old and needed by nobody, by rules.",
    ),
    "help.prune_dry_run": ("지울 것만 보여 줍니다.", "Only show what would be removed."),
    "prune.checkpoints": ("완료된 작업의 체크포인트", "checkpoints of completed jobs"),
    "prune.task_logs": ("Airflow 작업 로그", "logs of Airflow's tasks"),
    "prune.line": ("{name}: {count}개, {size}", "{name}: {count}, {size}"),
    "prune.would": ("지우면 {size}의 공간이 생깁니다", "{size} would be free again"),
    "prune.done": ("{size}의 공간을 되찾았습니다", "{size} are free again"),
    "help.json": ("JSON으로 표준 출력에 씁니다.", "JSON on standard output."),
    # errors
    "error.title": ("오류", "Error"),
    "error.value": ("입력값", "Value"),
    "error.allowed": ("허용", "Allowed"),
    "error.next": ("다음 조치", "What to do"),
    "error.interrupted": (
        "중단했습니다. 이미 시작한 프로세스는 그대로 실행 중입니다. 상태: tuneway status, 종료: tuneway down",
        "Interrupted. What had been started keeps running. State: tuneway status, end: tuneway down",
    ),
    # up
    "up.checking": ("시작 전 점검을 합니다", "Checking before the start"),
    "up.secrets": (
        "비밀값 {count}개를 새로 만들었습니다 ({folder})",
        "Made {count} new secrets ({folder})",
    ),
    "up.first_admin": (
        "관리자 계정 {name}을(를) 만들었습니다. 비밀번호는 지금 한 번만 보입니다: {password}",
        "Administrator {name} made. The password is shown this once: {password}",
    ),
    "up.leftovers": (
        "이전 실행에서 남은 프로세스 {count}개를 종료합니다",
        "Ending {count} processes left over from an earlier run",
    ),
    "up.postgres_files": ("PostgreSQL 데이터 폴더를 준비합니다", "Preparing PostgreSQL's data folder"),
    "up.databases": ("데이터베이스와 스키마를 준비합니다", "Preparing the databases and their schemas"),
    "up.databases_done": ("데이터베이스 준비 완료 ({seconds:.1f}초)", "Databases are ready ({seconds:.1f} s)"),
    "up.waiting": ("준비를 기다립니다: {names}", "Waiting for: {names}"),
    "up.ready": ("{name} 준비 완료 ({seconds:.1f}초)", "{name} is ready ({seconds:.1f} s)"),
    "up.started": ("{name} 시작함", "{name} started"),
    "up.already": ("모든 프로세스가 이미 실행 중입니다", "Every process is running already"),
    "up.done": ("플랫폼이 준비되었습니다 ({seconds:.1f}초)", "The platform is ready ({seconds:.1f} s)"),
    "up.not_waited": (
        "프로세스를 시작했습니다. 준비 상태는 tuneway status로 확인하십시오",
        "The processes have been started. See tuneway status for when they are ready",
    ),
    "up.settings_changed": (
        "설정이 실행 중인 플랫폼과 다릅니다. 적용하려면 tuneway down 후 tuneway up을 실행하십시오",
        "The settings differ from those of the running platform. To apply them: tuneway down, then tuneway up",
    ),
    "up.addresses": ("접속 주소", "Addresses"),
    "up.login": (
        "Airflow와 대시보드에는 같은 계정으로 로그인합니다 (계정: tuneway user list)",
        "Airflow and the dashboard take the same accounts (tuneway user list)",
    ),
    "up.how_to_stop": ("종료: tuneway down", "To stop: tuneway down"),
    # down
    "down.not_running": ("실행 중인 프로세스가 없습니다", "Nothing is running"),
    "down.airflow": (
        "Airflow가 새 작업을 시작하지 않도록 먼저 멈춥니다",
        "Stopping Airflow first, so that it starts nothing new",
    ),
    "down.jobs": (
        "실행 중인 작업 {count}개에 종료를 요청합니다: {jobs}",
        "Asking {count} running jobs to stop: {jobs}",
    ),
    "down.stopping": ("프로세스를 종료합니다", "Stopping the processes"),
    "down.leftovers": ("남은 프로세스를 종료합니다: {names}", "Ending what is left: {names}"),
    "down.done": ("모두 종료했습니다 ({seconds:.1f}초)", "Everything has ended ({seconds:.1f} s)"),
    # status
    "status.name": ("프로세스", "Process"),
    "status.state": ("상태", "State"),
    "status.pid": ("PID", "PID"),
    "status.uptime": ("가동 시간", "Uptime"),
    "status.memory": ("메모리", "Memory"),
    "status.port": ("포트", "Port"),
    "status.url": ("주소", "URL"),
    "status.not_running": (
        "플랫폼이 실행 중이 아닙니다. 시작: tuneway up",
        "The platform is not running. To start it: tuneway up",
    ),
    "status.totals": (
        "메모리 합계 {memory}, 실행 중인 작업 {jobs}개, 데이터 폴더 {data_dir} (디스크 여유 {free})",
        "Memory in all {memory}, running jobs {jobs}, data folder {data_dir} (free disk {free})",
    ),
    "status.job": ("작업 {job}: {state} {detail}", "Job {job}: {state} {detail}"),
    # logs
    "logs.none": ("아직 로그가 없습니다: {path}", "There is no log yet: {path}"),
    # restart
    "restart.done": ("{name} 다시 시작함", "{name} restarted"),
    # doctor
    "doctor.check": ("점검", "Check"),
    "doctor.verdict": ("판정", "Verdict"),
    "doctor.detail": ("내용", "Detail"),
    "doctor.next": ("조치", "What to do"),
    "doctor.ok": ("정상", "ok"),
    "doctor.warn": ("주의", "warning"),
    "doctor.block": ("불가", "blocks"),
    "doctor.all_ok": ("시작을 막는 문제가 없습니다", "Nothing stands in the way of a start"),
    "doctor.blocked": ("먼저 해결해야 할 문제 {count}건", "Problems to solve first: {count}"),
    "doctor.alarms": ("알람", "Alarms"),
    "doctor.no_alarms": ("울리는 알람이 없습니다", "none"),
    "doctor.alarm_next": ("{page}를 보세요", "see {page}"),
    "doctor.cerbos": ("권한 판정 (Cerbos)", "Policy decisions (Cerbos)"),
    "doctor.cerbos_missing": (
        "설치되어 있지 않아 관리 API가 모든 호출을 거부합니다",
        "not installed: the admin API refuses every call",
    ),
    "doctor.cerbos_broken_next": (
        "정책을 고치세요. 그때까지 마지막으로 올바른 정책이 적용됩니다: {command}",
        "mend the policies; the last good ones are in force until then: {command}",
    ),
    "doctor.cerbos_next": (
        "npm이 있는 곳에서 make setup을 다시 실행하거나, docs/permissions.md를 보고 파일을 직접 넣으세요",
        "run `make setup` again where npm is, or put the file in place by hand (docs/permissions.md)",
    ),
    "doctor.python": ("Python", "Python"),
    "doctor.python_next": ("Python 3.11로 make setup을 다시 실행하십시오", "Run make setup again with Python 3.11"),
    "doctor.packages": ("패키지", "Packages"),
    "doctor.packages_ok": ("{count}개가 requirements.txt와 같습니다", "{count} are as requirements.txt says"),
    "doctor.packages_differ": ("requirements.txt와 다름: {names}", "Different from requirements.txt: {names}"),
    "doctor.packages_next": ("make setup을 실행하십시오", "Run make setup"),
    "doctor.extra": ("추가 패키지 ({extra})", "Extra ({extra})"),
    "doctor.extra_missing": (
        "{whom}에 필요한 {package}이(가) 없습니다",
        "{whom} needs {package}, which is not installed",
    ),
    "doctor.extra_next": (
        "python3.11 setup/install.py --with {extra}를 실행하십시오. 인터넷이 없으면 설치 파일의 install.sh를 같은 폴더로 --with {extra}와 함께 다시 실행하십시오",
        "Run python3.11 setup/install.py --with {extra}; without internet, run the archive's install.sh into the same folder again, "
        "with --with {extra}",
    ),
    "doctor.port": ("포트 {port} ({name})", "Port {port} ({name})"),
    "doctor.port_free": ("비어 있음", "free"),
    "doctor.port_ours": ("이 플랫폼이 사용 중", "used by this platform"),
    "doctor.port_taken": ("다른 프로그램이 사용 중: {owner}", "taken by {owner}"),
    "doctor.port_unknown_owner": ("알 수 없는 프로그램", "an unknown program"),
    "doctor.port_next": (
        "그 프로그램을 끝내거나 TUNEWAY_PORT_BASE 또는 {variable}을(를) 다른 값으로 설정하십시오",
        "End that program, or set TUNEWAY_PORT_BASE or {variable} to another value",
    ),
    "doctor.port_twice": ("{names}이(가) 같은 포트를 씁니다", "{names} have the same port"),
    "doctor.port_range": ("1–65535 범위 밖입니다", "outside of 1–65535"),
    "doctor.address": ("주소 {host}", "Address {host}"),
    "doctor.address_bad": ("이 서버의 주소가 아닙니다: {reason}", "not an address of this machine: {reason}"),
    "doctor.address_next": (
        "TUNEWAY_HOST를 이 서버의 주소로 설정하십시오",
        "Set TUNEWAY_HOST to an address of this machine",
    ),
    "doctor.address_open": (
        "이 서버 밖에서도 접속할 수 있습니다",
        "reachable from outside of this machine",
    ),
    "doctor.address_open_next": (
        "방화벽과 TLS 프록시 뒤에 두십시오 (docs/operations.md)",
        "Keep it behind a firewall and a TLS proxy (docs/operations.md)",
    ),
    "doctor.disk": ("디스크", "Disk"),
    "doctor.disk_detail": ("{path}: 여유 {free}, 필요 {needed}", "{path}: {free} free, {needed} needed"),
    "doctor.disk_next": (
        "공간을 비우거나 TUNEWAY_DATA_DIR을 더 큰 디스크로 옮기십시오 (하한: TUNEWAY_MIN_FREE_DISK_GB)",
        "Free some space or put TUNEWAY_DATA_DIR on a larger disk (lower bound: TUNEWAY_MIN_FREE_DISK_GB)",
    ),
    "doctor.memory": ("메모리", "Memory"),
    "doctor.memory_detail": ("사용 가능 {available} / 전체 {total}", "{available} available of {total}"),
    "doctor.memory_next": (
        "플랫폼과 작은 모델에 약 8 GB가 필요합니다. 다른 프로그램을 끝내십시오",
        "The platform with a small model takes about 8 GB: end other programs",
    ),
    "doctor.files": ("열 수 있는 파일 수", "Open files"),
    "doctor.files_next": ("ulimit -n 4096 이상으로 올리십시오", "Raise it to at least 4096: ulimit -n 4096"),
    "doctor.folder": ("데이터 폴더", "Data folder"),
    "doctor.folder_ok": ("{path}에 쓸 수 있습니다", "{path} can be written"),
    "doctor.folder_bad": ("{path}에 쓸 수 없습니다: {reason}", "{path} cannot be written: {reason}"),
    "doctor.folder_next": (
        "폴더의 권한을 고치거나 TUNEWAY_DATA_DIR을 쓸 수 있는 폴더로 설정하십시오",
        "Correct the folder's permissions or set TUNEWAY_DATA_DIR to a folder you may write",
    ),
    "doctor.secrets": ("비밀값 권한", "Permissions of secrets"),
    "doctor.secrets_ok": ("소유자만 읽을 수 있습니다", "readable by their owner only"),
    "doctor.secrets_none": ("첫 tuneway up에서 만듭니다", "made by the first tuneway up"),
    "doctor.secrets_bad": ("다른 사용자가 읽을 수 있음: {names}", "readable by others: {names}"),
    "doctor.secrets_next": ("chmod 700 {folder} && chmod 600 {folder}/*", "chmod 700 {folder} && chmod 600 {folder}/*"),
    "doctor.postgres": ("PostgreSQL", "PostgreSQL"),
    "doctor.postgres_embedded": ("내장 PostgreSQL을 사용합니다", "the embedded one is used"),
    "doctor.postgres_ok": ("{name}: {version}, {address}", "{name}: {version} at {address}"),
    "doctor.postgres_unreachable": (
        "{name}: {address}에 연결할 수 없습니다: {reason}",
        "{name}: cannot connect to {address}: {reason}",
    ),
    "doctor.postgres_next": (
        "서버가 켜져 있는지, {variable}의 주소, 사용자, 비밀번호, 데이터베이스가 맞는지 확인하십시오",
        "Check that the server is up and that address, user, password and database in {variable} are right",
    ),
    "doctor.postgres_old": (
        "{name}: 버전 {version}은 너무 낮습니다 (14 이상)",
        "{name}: version {version} is too old (14 or newer)",
    ),
    "doctor.postgres_old_next": ("PostgreSQL 14 이상을 사용하십시오", "Use PostgreSQL 14 or newer"),
    "doctor.postgres_missing": (
        "TUNEWAY_DATABASE_URL이 설정되었으나 {variable}이(가) 없습니다",
        "TUNEWAY_DATABASE_URL is set but {variable} is not",
    ),
    "doctor.postgres_missing_next": ("{variable}을(를) 설정하십시오", "Set {variable}"),
    "doctor.gpu": ("GPU", "GPU"),
    "doctor.gpu_none": ("GPU 없음, CPU 작업자 {slots}개로 대신합니다", "none; {slots} CPU workers stand for them"),
    "doctor.gpu_fewer": (
        "GPU {found}개인데 TUNEWAY_GPU_SLOTS는 {slots}입니다: {names}",
        "{found} found, TUNEWAY_GPU_SLOTS is {slots}: {names}",
    ),
    "doctor.gpu_kept": (
        "{slots}개 가운데 {kept}번은 모델 서버 전용이고 작업은 {jobs}개를 씁니다",
        "of {slots}, {kept} kept for model servers, {jobs} for jobs",
    ),
    "doctor.gpu_kept_next": (
        "TUNEWAY_SERVING_GPUS를 0에서 {last} 사이의 번호로 하고 작업에 하나 이상 남기십시오",
        "Choose TUNEWAY_SERVING_GPUS among 0 to {last} and leave at least one for jobs",
    ),
    "doctor.gpu_next": ("TUNEWAY_GPU_SLOTS={found}로 설정하십시오", "Set TUNEWAY_GPU_SLOTS={found}"),
    "doctor.vllm": ("vLLM 환경", "vLLM environment"),
    "doctor.vllm_none": ("없음, 내장 모델 서버를 사용합니다", "not there; the embedded model server is used"),
    "doctor.vllm_required": (
        "없음, 그러나 TUNEWAY_MODEL_SERVER_BACKEND=vllm입니다",
        "not there, but TUNEWAY_MODEL_SERVER_BACKEND=vllm",
    ),
    "doctor.vllm_next": (
        "make setup을 실행하십시오 (메시지에 이유가 나옵니다)",
        "Run make setup (it says why if it cannot)",
    ),
    "doctor.airflow_app": ("Airflow 구동", "Airflow starts"),
    "doctor.airflow_app_ok": ("api-server 애플리케이션이 만들어집니다", "the api-server's application can be made"),
    "doctor.vllm_runs": ("vLLM 구동", "vLLM starts"),
    # other commands
    "stage.done": ("{name} 단계 완료", "The stage {name} is done"),
    # bench
    "help.bench": ("이 기계에서 성능을 잽니다", "Measure this machine"),
    "help.bench_data": (
        "만든 표본을 처음부터 끝까지 정제하고 시간, 메모리, 찾아낸 것을 알려 줍니다",
        "Prepare generated rows from end to end; tell time, memory and what was found",
    ),
    "help.bench_train": (
        "학습 속도를 TRL 기본 설정과 비교합니다(CPU 몇 분, --gpu는 더 오래)",
        "Training speed against TRL as it comes (minutes on a CPU, longer with --gpu)",
    ),
    "help.bench_gpu": (
        "GPU에서 Qwen3-8B 크기의 모델로 LoRA, QLoRA, 전체 학습을 잽니다",
        "On a GPU: LoRA, QLoRA and full fine-tuning of a model the size of Qwen3-8B",
    ),
    "help.bench_quick": (
        "짧게 한 번만 잽니다(CPU 2분 이내, --gpu는 LoRA만)",
        "Once and briefly (two minutes on a CPU; with --gpu LoRA only)",
    ),
    "help.bench_router": (
        "라우터의 CPU 시간, 메모리, 지연을 다른 라우터와 나란히 잽니다(몇 분)",
        "CPU time, memory and delay of the router, beside other routers (minutes)",
    ),
    "help.bench_peers": (
        "함께 잴 라우터를 쉼표로 구분: litellm,vllm-router,nginx",
        "Routers to compare with, commas between: litellm,vllm-router,nginx",
    ),
    "help.bench_peers_dir": (
        "그 프로그램들이 있는 폴더(여러 번 쓸 수 있음). 플랫폼 환경과 따로 설치합니다",
        "Folder with their programs (may be repeated); install them apart from the platform's environment",
    ),
    "help.bench_rounds": ("되풀이 횟수", "How often everything is measured"),
    "help.bench_seconds": ("측정 하나의 시간(초)", "Seconds of each measurement"),
    "help.bench_soak": (
        "다른 라우터와 견주는 대신 요청을 이만큼 보내며 메모리, 열린 파일, 잃은 행을 살핍니다",
        "Instead of comparing, send this many requests and watch memory, open files and lost rows",
    ),
    "bench.soak_line": (
        "요청 {requests:,}건: 메모리 {rss_mib[warm]} → {rss_mib[end]} MiB, 열린 파일 {open_files[warm]} → {open_files[end]}, "
        "스레드 {threads[warm]} → {threads[end]}, 잃은 행 {lost_rows}, 실패 {failures}, 달라진 답 {other_bodies}",
        "{requests:,} requests: memory {rss_mib[warm]} → {rss_mib[end]} MiB, open files {open_files[warm]} → {open_files[end]}, "
        "threads {threads[warm]} → {threads[end]}, {lost_rows} rows lost, {failures} failures, {other_bodies} bodies changed",
    ),
    "bench.router_line": (
        "{router}: 요청당 CPU µs(동시 요청 수별) {counts}, 조각당 {cpu_us_per_chunk} µs, 순차 지연 +{added_sequential_us} µs, "
        "메모리 {rss_mib} MiB, 실패 {failures}, 달라진 답 {other_bodies}",
        "{router}: CPU µs a request, by requests in flight {counts}; {cpu_us_per_chunk} µs a chunk; one by one "
        "+{added_sequential_us} µs; {rss_mib} MiB; {failures} failures; {other_bodies} bodies changed",
    ),
    "bench.bar": (
        "{mark} {name}: {measured} (기준 {at_most} 이하)",
        "{mark} {name}: {measured} (bar: at most {at_most})",
    ),
    "bench.bar_cpu_us_32": ("동시 32건에서 요청당 CPU µs", "CPU µs a request, 32 in flight"),
    "bench.bar_cpu_us_per_chunk": ("스트림 조각당 CPU µs", "CPU µs a streamed chunk"),
    "bench.bar_added_sequential_us": ("하나씩 물을 때 더해지는 µs", "µs added, one by one"),
    "bench.bar_rss_mib": ("메모리 MiB", "memory in MiB"),
    "bench.bar_cpu_256_to_8": ("동시 256건과 8건의 CPU 비", "CPU at 256 in flight to that at 8"),
    "bench.bar_cpu_to_vllm_router": ("동시 32건에서 vllm-router 대비 CPU", "CPU at 32 in flight to vllm-router's"),
    "bench.bar_cpu_to_litellm": ("동시 32건에서 LiteLLM 대비 CPU", "CPU at 32 in flight to LiteLLM's"),
    "bench.missing": (
        "{name}: 설치되어 있지 않음. {how}, 그다음 --peers-dir",
        "{name} is not installed: {how}, then --peers-dir",
    ),
    "bench.peer_failed": ("{name}: 시작하지 못함, {why}", "{name} did not start: {why}"),
    "bench.train_line": (
        "{contestant} ({method}): 초당 {tokens_per_second:,}토큰, {memory}",
        "{contestant} ({method}): {tokens_per_second:,} tokens a second, {memory}",
    ),
    "bench.train_failed": ("{contestant} ({method}): 실패, {error}", "{contestant} ({method}): failed, {error}"),
    "help.bench_rows": ("표본 수", "How many rows"),
    "help.bench_workers": (
        "작업 프로세스 수. 비워 두면 코어 수만큼",
        "Worker processes; as many as cores unless given",
    ),
    "bench.line": ("{name}: {value}", "{name}: {value}"),
    "bench.rows": ("행", "rows"),
    "bench.workers": ("작업 프로세스", "workers"),
    "bench.seconds": ("걸린 시간(초)", "seconds"),
    "bench.rows_per_second": ("초당 행", "rows a second"),
    "bench.peak_mib": ("최대 메모리(MiB)", "peak memory (MiB)"),
    "bench.planted_copies": ("심어 둔 중복", "planted copies"),
    "bench.found_copies": ("찾은 비율", "found"),
    "bench.wrong_copies": ("잘못 지운 비율", "removed wrongly"),
    "part.missing": ("이 설치에는 {name} 명령이 없습니다", "This installation has no command {name}"),
    **AUDIT_TEXTS,
    **AB_TEXTS,
    **RUN_TEXTS,
    **RATINGS_TEXTS,
    **SAFETY_TEXTS,
    **DEPLOY_TEXTS,
    **DOCS_TEXTS,
    **MODEL_TEXTS,
    **KEYS_TEXTS,
    **PRIVACY_TEXTS,
    **BACKUP_TEXTS,
    **BUNDLE_TEXTS,
    **CONTAMINATION_TEXTS,
    **SUITE_TEXTS,
    **SWEEP_TEXTS,
    **DATASET_TEXTS,
    **TRAIN_TEXTS,
    **UNITS_TEXTS,
    **JOB_TEXTS,
    **EVALUATE_TEXTS,
    **IDENTITY_TEXTS,
}


def translate(key: str, language: str, **values: object) -> str:
    """The text in the given language (ko or en), its places filled."""
    korean, english = TEXTS[key]
    return (english if language == "en" else korean).format(**values)
