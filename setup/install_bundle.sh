#!/bin/sh
# Installs Tuneway from this archive, on a machine without any network.
#
#   sh install.sh --public-key FILE --to FOLDER [--with celery,cluster,kubernetes] [--without-vllm] [--python PATH] [--dry-run]
#
# Before anything is written, the list of checksums is held against its signature and every file against the list. The public
# key comes by another way than the archive. Killed at any instant it is run again; an installation there already is brought to
# this archive's state, and its data folder is left alone. Exit codes: 0 done, 1 could not be done, 2 wrong as written,
# 3 the archive is not what was signed.
set -eu
LC_ALL=C
export LC_ALL

say() { # KOREAN ENGLISH
    if [ "${TUNEWAY_LANGUAGE:-ko}" = en ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
}
refuse() { # EXIT_CODE KOREAN ENGLISH
    say "$2" "$3" >&2
    exit "$1"
}
usage() {
    say "사용법: sh install.sh --public-key 공개키.pem --to 설치폴더 [--with celery,cluster,kubernetes] [--without-vllm] [--python 경로] [--dry-run]" \
        "Usage: sh install.sh --public-key PUBLIC.pem --to FOLDER [--with celery,cluster,kubernetes] [--without-vllm] [--python PATH] [--dry-run]"
}

key='' target='' python=${PYTHON:-} extras='' without_vllm=no dry_run=no
while [ $# -gt 0 ]; do
    case $1 in
    --public-key | --to | --python | --with)
        [ -n "${2:-}" ] || refuse 2 "$1 뒤에 값이 없습니다." "$1 needs a value."
        case $1 in --public-key) key=$2 ;; --to) target=$2 ;; --python) python=$2 ;; --with) extras=$extras,$2 ;; esac
        shift
        ;;
    --without-vllm) without_vllm=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) usage && exit 0 ;;
    *)
        usage >&2
        refuse 2 "알 수 없는 옵션입니다: $1" "There is no such option: $1"
        ;;
    esac
    shift
done
if [ -z "$key" ] || [ -z "$target" ]; then
    usage >&2
    refuse 2 "--public-key와 --to가 필요합니다. 공개키는 압축 파일과 다른 경로로 받은 것이어야 합니다." \
        "--public-key and --to are needed. The public key is one that came by another way than the archive."
fi
[ -r "$key" ] || refuse 2 "공개키 파일을 읽을 수 없습니다: $key" "The public key cannot be read: $key"
bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
key=$(CDPATH='' cd -- "$(dirname -- "$key")" && pwd)/$(basename -- "$key")
case $target in /*) ;; *) target=$PWD/$target ;; esac
case $bundle$target in
*[[:space:]]*) refuse 2 "경로에 공백이 있으면 설치할 수 없습니다: $bundle, $target. 공백이 없는 폴더로 옮기십시오." \
    "A path with blanks cannot be used: $bundle, $target. Take folders without blanks." ;;
esac
for tool in openssl sha256sum flock find comm df; do
    command -v "$tool" >/dev/null 2>&1 || refuse 1 \
        "필요한 프로그램이 없습니다: $tool. 운영체제의 설치 매체에서 설치한 뒤 다시 실행하십시오." \
        "A program is missing: $tool. Install it from the system's own media and run this again."
done

# 1. the archive is whole and is what was signed
cd "$bundle"
for name in SHA256SUMS SHA256SUMS.sig bundle.json; do
    [ -f "$name" ] || refuse 3 "압축 파일이 온전하지 않습니다. 없는 파일: $name. 다시 복사해 풀어 주십시오." \
        "The archive is not whole. Missing: $name. Copy and unpack it again."
done
openssl dgst -sha256 -verify "$key" -signature SHA256SUMS.sig SHA256SUMS >/dev/null 2>&1 || refuse 3 \
    "서명이 맞지 않습니다. 체크섬 목록이 $key의 개인키로 서명되지 않았습니다. 아무것도 설치하지 않았습니다. 압축 파일과 공개키를 보낸 쪽에 확인하십시오." \
    "The signature does not fit: the checksums were not signed by the private key of $key. Nothing was installed. Ask whoever handed over the archive and the key."
say "✓ 서명 확인" "✓ signature"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
sed 's/^[0-9a-f]*  //' SHA256SUMS | sort >"$scratch/signed"
find . ! -type d | sed 's|^\./||' | grep -v -x -e SHA256SUMS -e SHA256SUMS.sig | sort >"$scratch/present" || true
# a wheel that nobody signed could be chosen instead of one that was
added=$(comm -13 "$scratch/signed" "$scratch/present" | head -n 1)
[ -z "$added" ] || refuse 3 "서명되지 않은 파일이 있습니다: $added. 새 폴더에 다시 풀어 주십시오." \
    "There is a file that was not signed: $added. Unpack the archive again into a new folder."
links=$(find . -type l | head -n 1)
[ -z "$links" ] || refuse 3 "심볼릭 링크가 있습니다: $links. 새 폴더에 다시 풀어 주십시오." \
    "There is a symbolic link: $links. Unpack the archive again into a new folder."
missing=$(comm -23 "$scratch/signed" "$scratch/present" | wc -l | tr -d ' ')
[ "$missing" = 0 ] || refuse 3 \
    "압축 파일이 온전하지 않습니다. 파일 ${missing}개가 없습니다. 첫 번째: $(comm -23 "$scratch/signed" "$scratch/present" | head -n 1). 다시 복사해 풀어 주십시오." \
    "The archive is not whole: $missing files are missing, the first is $(comm -23 "$scratch/signed" "$scratch/present" | head -n 1). Copy and unpack it again."
sha256sum --check --quiet SHA256SUMS >"$scratch/changed" 2>/dev/null || refuse 3 \
    "파일이 손상되었습니다: $(sed 's/: [A-Z ]*$//' "$scratch/changed" | head -n 3 | tr '\n' ' '). 다시 복사해 풀어 주십시오." \
    "Files are damaged: $(sed 's/: [A-Z ]*$//' "$scratch/changed" | head -n 3 | tr '\n' ' '). Copy and unpack the archive again."
say "✓ 파일 $(wc -l <SHA256SUMS | tr -d ' ')개 확인" "✓ $(wc -l <SHA256SUMS | tr -d ' ') files"

# 2. it has what is asked for, and this machine can take it
told() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" bundle.json; }
[ "$(told format)" = 1 ] || refuse 1 "이 스크립트가 읽을 수 없는 형식입니다: $(told format)" "A format that this script cannot read: $(told format)"
known=$(sed -n '/^ *"extras": \[/,/\]/s/^ *"\([a-z]*\)",\{0,1\}$/\1/p' bundle.json)
extras=$(printf '%s' "$extras" | tr -s ', ' '\n' | sed '/^$/d' | sort -u)
unknown=$(printf '%s' "$extras" | grep -v -x -F -e "$known" | head -n 1)
[ -z "$unknown" ] || refuse 2 "--with에 쓸 수 없는 이름입니다: $unknown. 이 파일에 있는 것: $(echo $known)" \
    "--with: there is no $unknown. This archive has: $(echo $known)"
[ "$(told machine)" = "$(uname -m)" ] || refuse 1 "다른 종류의 컴퓨터용입니다: $(told machine). 이 컴퓨터: $(uname -m)" \
    "It was made for another kind of machine: $(told machine). This one: $(uname -m)"
here=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //') || here=''
oldest=$(printf '%s\n%s\n' "$(told glibc)" "${here:-0}" | sort -t . -k 1,1n -k 2,2n | head -n 1)
[ "$oldest" = "$(told glibc)" ] || refuse 1 \
    "이 컴퓨터의 GNU C 라이브러리(${here:-없음})가 오래되었습니다. $(told glibc) 이상이 필요합니다. 이 컴퓨터와 같은 운영체제에서 묶은 파일을 받으십시오." \
    "This machine's GNU C library (${here:-none}) is too old, $(told glibc) is needed. Bundle on a machine with the same system as this one."
python=$(PYTHON="$python" sh project/setup/find_python.sh) || exit 1
with_vllm=$(told with_vllm)
[ "$without_vllm" = no ] || with_vllm=false
place=$target
while [ ! -d "$place" ]; do place=$(dirname -- "$place"); done
needed=$(($(told installed_bytes) / 1024 + 524288))
if [ ! -f "$target/.tuneway-bundle" ]; then
    free=$(df -Pk "$place" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$needed" ] || refuse 1 "디스크 공간이 부족합니다. 여유: $((free / 1024)) MiB, 필요: $((needed / 1024)) MiB ($place)" \
        "The disk is too small: $((free / 1024)) MiB free, $((needed / 1024)) MiB needed ($place)"
    if [ -d "$target" ] && [ -n "$(ls -A "$target" | grep -v -x -F .tuneway-install.lock)" ]; then
        refuse 2 "빈 폴더도, 이 스크립트가 설치한 폴더도 아닙니다: $target" \
            "The folder is neither empty nor installed by this script: $target"
    fi
fi
say "$(told bundle_id): Python $("$python" -c 'import platform; print(platform.python_version())'), torch $(told torch), vLLM $with_vllm,${extras:+ $(echo $extras),} $((needed / 1024)) MiB → $target" \
    "$(told bundle_id): Python $("$python" -c 'import platform; print(platform.python_version())'), torch $(told torch), vLLM $with_vllm,${extras:+ $(echo $extras),} $((needed / 1024)) MiB → $target"
if [ "$dry_run" = yes ]; then
    say "확인만 했습니다. 아무것도 쓰지 않았습니다." "This was a check only. Nothing was written."
    exit 0
fi

# 3. the project's files; its command is taken away first and comes last, so that nobody starts half of an installation
umask 022
mkdir -p "$target"
exec 9>"$target/.tuneway-install.lock"
flock -n 9 || refuse 1 "이 폴더에 다른 설치가 진행 중입니다: $target" "Another installation into this folder is at work: $target"
echo "installing $(told bundle_id)" >"$target/.tuneway-bundle"
rm -f "$target/tuneway"
sed -n 's|^project/||p' "$scratch/signed" >"$scratch/project"
if [ -f "$target/.tuneway-files" ]; then
    # what an earlier version had and this one has not
    comm -23 "$target/.tuneway-files" "$scratch/project" | while IFS= read -r name; do rm -f -- "$target/$name"; done
fi
# both lists, until the new files are there: a kill forgets neither
if [ -f "$target/.tuneway-files" ]; then
    sort -u "$target/.tuneway-files" "$scratch/project" >"$target/.tuneway-files.new"
else
    cp "$scratch/project" "$target/.tuneway-files.new"
fi
mv "$target/.tuneway-files.new" "$target/.tuneway-files"
find project -mindepth 1 -maxdepth 1 ! -name tuneway -exec cp -Rp -t "$target" -- {} +

# 4. the environments, from the wheels alone
find_links=$bundle/wheels
vllm_option=--without-vllm
if [ "$with_vllm" = true ]; then
    find_links="$find_links $bundle/wheels-vllm"
    vllm_option=
fi
for name in $(env | sed -n 's/^\(\(PIP\|UV\)_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS="$find_links" PIP_NO_CACHE_DIR=1 \
    UV_OFFLINE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR="$target/.make/uv-cache" \
    "$python" "$target/setup/install.py" $vllm_option ${extras:+--with "$(echo $extras | tr ' ' ',')"} --cerbos "$bundle/cerbos"
rm -rf "$target/.make/uv-cache"
[ -x "$target/.venv/bin/cerbos" ] || [ ! -f cerbos ] || refuse 1 \
    "Cerbos를 설치하지 못했습니다. 위의 메시지를 보십시오." "Cerbos was not installed: see the message above."
[ "$with_vllm" = false ] || [ -f "$target/.venv-vllm/tuneway-installed.json" ] || refuse 1 \
    "vLLM을 설치하지 못했습니다. 위의 메시지를 보고 고치거나 --without-vllm으로 다시 실행하십시오." \
    "vLLM was not installed: mend what the message above says, or run this again with --without-vllm."

# 5. done
cp -p project/tuneway "$target/.tuneway-command"
mv "$target/.tuneway-command" "$target/tuneway"
cp "$scratch/project" "$target/.tuneway-files.new"
mv "$target/.tuneway-files.new" "$target/.tuneway-files"
echo "installed $(told bundle_id)" >"$target/.tuneway-bundle.new"
mv "$target/.tuneway-bundle.new" "$target/.tuneway-bundle"
say "✓ 설치했습니다: $target
다음: $target/tuneway doctor, $target/tuneway up (부팅할 때 시작하려면 $target/tuneway units)" \
    "✓ Installed: $target
Next: $target/tuneway doctor, $target/tuneway up (to start at boot: $target/tuneway units)"
