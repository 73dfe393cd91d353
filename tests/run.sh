#!/bin/sh
# Run pytest; tests that fail are run once more, one after another, and named.
#
#   sh tests/run.sh PYTHON PYTEST_ARGUMENTS_FOR_SIDE_BY_SIDE -- PYTEST_ARGUMENTS_FOR_BOTH
#
# Thousands of tests of real servers share two cores here: one that fails beside others and passes alone is unsteady, which is a
# fault of the test or of what it tests, but no reason to hold up all the rest. One that fails twice has failed.
set -u
python=$1
shift
beside=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    beside="$beside $1"
    shift
done
shift
# shellcheck disable=SC2086 # the options hold no spaces
"$python" -m pytest $beside "$@"
ended=$?
# 1: tests have failed; anything else is an error of the run itself
[ "$ended" -eq 1 ] || exit "$ended"
echo "== Once more, alone: the tests that failed. One that passes now is unsteady, and is to be mended =="
exec "$python" -m pytest --last-failed --last-failed-no-failures none --maxfail 1 -rfEp "$@"
