# shellcheck shell=bash
# What a person sees: progress lines, errors that say what to do, long commands with their time.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
    BOLD='' DIM='' RED='' GREEN='' YELLOW='' PLAIN=''
fi

heading() { printf '%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
note() { printf '%s  %s%s\n' "$DIM" "$*" "$PLAIN"; }
done_line() { printf '%s✓%s %s\n' "$GREEN" "$PLAIN" "$*"; }
skip_line() { printf '%s-%s %s\n' "$YELLOW" "$PLAIN" "$*"; }
failed_line() { printf '%s✗%s %s\n' "$RED" "$PLAIN" "$*"; }
warn() { printf '%swarning:%s %s\n' "$YELLOW" "$PLAIN" "$*" >&2; }

# die "what is wrong; what to do"
die() {
    printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# duration SECONDS -> "7 s" or "3 min 07 s"
duration() {
    if (($1 < 60)); then
        printf '%d s' "$1"
    else
        printf '%d min %02d s' $(($1 / 60)) $(($1 % 60))
    fi
}

# step LABEL COMMAND...: runs a long command quietly, says every 15 seconds that it still runs and
# what it printed last, and shows the end of its output if it fails. Returns the command's status.
# `set -e` is off inside the command: pass one program, or a function whose lines are joined with &&.
step() {
    local label=$1 started=$SECONDS log status=0 ticker
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/sekisho-step.XXXXXX")
    tick "$label" "$log" &
    ticker=$!
    "$@" >"$log" 2>&1 || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if ((status == 0)); then
        done_line "$label ($(duration $((SECONDS - started))))"
    else
        failed_line "$label (after $(duration $((SECONDS - started))))"
        tail -n 40 "$log" | sed 's/^/    /' >&2
    fi
    rm -f "$log"
    return "$status"
}

tick() {
    local label=$1 log=$2 started=$SECONDS
    # The sleep may outlive this function: it must not keep a reader of our output waiting.
    while sleep 15 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        note "$label: $(duration $((SECONDS - started))) … $(tail -n 1 "$log" | tr -d '\r' | cut -c1-80)"
    done
}
