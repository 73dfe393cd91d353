#!/bin/sh
# Start a pipeline on the platform's Airflow and wait for its verdict, with nothing but curl and a POSIX shell.
#
#   AIRFLOW_URL=https://airflow.example.kr AIRFLOW_USER=ci AIRFLOW_PASSWORD_FILE=/run/secrets/airflow \
#       sh trigger.sh finetune_pipeline request.json ci-3f2a91c
#
# AIRFLOW_TOKEN_FILE instead of user and password, where CI has a token already.
# Exit code: 0 passed, 1 failed, 2 refused or unreachable, 3 below the bar, 4 not finished after WAIT_SECONDS.
set -eu

[ $# -eq 3 ] || { echo "usage: trigger.sh DAG_ID REQUEST.json RUN_ID" >&2; exit 2; }
dag=$1 request=$2 run=$3
: "${AIRFLOW_URL:?the address of Airflow, for example http://127.0.0.1:18080}"
api="${AIRFLOW_URL%/}/api/v2"
case $run in *[!A-Za-z0-9._-]*) echo "RUN_ID: letters, digits, dot, underscore and hyphen only" >&2; exit 2 ;; esac
[ -r "$request" ] || { echo "cannot read $request" >&2; exit 2; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
umask 077

# field NAME: the text of that name in the JSON on standard input; the answers read here have it once
field() { tr -d '\n' | sed -n "s/^[^\$]*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Secrets travel through files and pipes: a command line can be read by every user of the machine.
if [ -n "${AIRFLOW_TOKEN_FILE:-}" ]; then
    token=$(cat "$AIRFLOW_TOKEN_FILE")
else
    escaped=$(sed 's/\\/\\\\/g; s/"/\\"/g' "${AIRFLOW_PASSWORD_FILE:?file with the password of AIRFLOW_USER}")
    token=$(printf '{"username": "%s", "password": "%s"}' "${AIRFLOW_USER:?name of a service account; its key is the password}" "$escaped" |
        curl -sS --max-time 60 -H 'Content-Type: application/json' --data-binary @- "${AIRFLOW_URL%/}/auth/token" |
        field access_token) || token=
fi
[ -n "$token" ] || { echo "Airflow at $AIRFLOW_URL did not give a token: check address, user and password" >&2; exit 2; }
printf 'Authorization: Bearer %s\n' "$token" > "$scratch/authorization"

# call METHOD PATH [FILE]: the answer in $scratch/answer, its status on standard output (000: no answer)
call() {
    if [ $# -eq 3 ]; then set -- "$1" "$2" --data-binary "@$3"; fi
    method=$1 path=$2
    shift 2
    curl -sS --max-time 60 -X "$method" -H "@$scratch/authorization" -H 'Content-Type: application/json' \
        -o "$scratch/answer" -w '%{http_code}' "$@" "$api$path" 2> "$scratch/trouble" || true
}

status=$(call GET /importErrors)
[ "$status" = 200 ] || { echo "importErrors: HTTP $status $(cat "$scratch/trouble")" >&2; exit 2; }
if grep -q "$dag\.py" "$scratch/answer"; then
    echo "Airflow cannot read $dag.py; see the first page of $AIRFLOW_URL" >&2
    exit 2
fi

{ printf '{"dag_run_id": "%s", "logical_date": null, "conf": ' "$run"; cat "$request"; printf '}'; } > "$scratch/body"
status=$(call POST "/dags/$dag/dagRuns" "$scratch/body")
case $status in
    200 | 201) echo "started $dag $run" ;;
    409) echo "$dag $run exists already: waiting for it" ;;
    *) echo "refused: HTTP $status $(cat "$scratch/answer" "$scratch/trouble" 2> /dev/null)" >&2; exit 2 ;;
esac
echo "${AIRFLOW_URL%/}/dags/$dag/runs/$run"

deadline=$(($(date +%s) + ${WAIT_SECONDS:-604800}))
silent_since=
state=
while :; do
    status=$(call GET "/dags/$dag/dagRuns/$run")
    now=$(date +%s)
    if [ "$status" = 200 ]; then
        silent_since=
        seen=$(field state < "$scratch/answer")
        [ "$seen" = "$state" ] || echo "$(date +%H:%M:%S) $seen"
        state=$seen
        case $state in success | failed) break ;; esac
    else
        # a restart of Airflow is waited for; the run itself goes on
        : "${silent_since:=$now}"
        [ $((now - silent_since)) -lt 600 ] || { echo "Airflow has not answered for 10 minutes" >&2; exit 2; }
    fi
    [ "$now" -lt "$deadline" ] || { echo "still $state after ${WAIT_SECONDS:-604800} s; the run goes on" >&2; exit 4; }
    sleep "${POLL_SECONDS:-10}"
done

if [ "$state" = failed ]; then
    call GET "/dags/$dag/dagRuns/$run/taskInstances?state=failed" > /dev/null
    failed=$(tr '{' '\n' < "$scratch/answer" | sed -n 's/.*"task_id" *: *"\([^"]*\)".*/\1/p' | tr '\n' ' ')
    echo "failed at: $failed" >&2
    # the first task refuses what is wrong with the request itself
    case $failed in *validate_request*) exit 2 ;; esac
    exit 1
fi
status=$(call GET "/dags/$dag/dagRuns/$run/taskInstances/gate/xcomEntries/return_value?stringify=false")
[ "$status" = 200 ] || exit 0 # this pipeline has no gate
verdict=$(field decision < "$scratch/answer")
echo "gate: $verdict"
[ "$verdict" = pass ] || exit 3
