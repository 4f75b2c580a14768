# shellcheck shell=bash
# shellcheck disable=SC2034  # bench.sh uses NEXT_PORT
# `scripts/bench link`: what sidecars commit and grant. prelude.sh, demo.sh and bench.sh come before it.

LINK_DEPARTMENTS=(10 10000)

link_usage() {
    cat <<END
usage: scripts/bench link [--rounds N] [--seconds S] [--check] [--no-build] [--help]

Starts a sidecar on SQLite with ${LINK_DEPARTMENTS[0]} departments and one with ${LINK_DEPARTMENTS[1]}, each with a budget, and
speaks Link to them as workers of gateways do, in interleaved rounds:
  disk     a page is appended to a file on the same disk and its data synced, 1,000 times a second
  ack      1,000 records a second on one stream: how long each takes from the moment it was due until the
           sidecar acknowledges it, which it does when the record is durable
  records  eight streams send admits and ends as fast as they are acknowledged
  leases   eight streams ask for leases as fast as they are granted; grants are durable before they are sent
Ten departments are active at either.
Prints the table and whether the goals hold, and writes target/bench/link.md and link.json.

  --rounds N   rounds (default 5)
  --seconds S  seconds of each measurement (default 3)
  --no-build   measures what was built before
  --check      ends with status 1 if a goal is missed

Ports: $BENCH_PORT to $((BENCH_PORT + 3)) on 127.0.0.1; SEKISHO_BENCH_PORT moves the first.
END
}

bench_link() {
    local rounds=5 seconds=3 command="scripts/bench link${*:+ $*}" departments sidecars=()
    while (($#)); do
        case $1 in
        -h | --help) link_usage && return ;;
        *) take_option "scripts/bench link" "rounds seconds" "$@" ;;
        esac
        shift "$WORDS"
    done
    if [[ -n $REBUILD ]]; then
        "$ROOT/scripts/setup" --only rust
        step "Building the sidecar and the load" \
            native_cargo build --release --locked -p sekisho -p sekisho-bench ||
            die "the build failed; the compiler's words stand above"
    fi
    heading "Starting"
    # Beside the report, because a temporary folder may be in memory, and the records must reach a disk.
    mkdir -p "$OUT"
    DEMO=$(mktemp -d "$OUT/run.XXXXXX")
    trap stop_bench EXIT
    trap 'exit 130' INT TERM
    NEXT_PORT=$BENCH_PORT
    make_issuer
    for departments in "${LINK_DEPARTMENTS[@]}"; do
        start_link_sidecar "$departments"
        sidecars+=(--sidecar "$departments=$STARTED")
    done
    heading "Measuring"
    "$BUILT/sekisho-bench" link "${sidecars[@]}" --disk "$DEMO" --rounds "$rounds" --seconds "$seconds" \
        --out "$OUT" --command "$command" "${CHECK[@]}" || die "see above; logs are in $OUT/last/log"
}

# start_link_sidecar DEPARTMENTS: sets STARTED to its ADDRESS:PORT:PID
start_link_sidecar() {
    local name=departments-$1 dir=$DEMO/departments-$1 link
    mkdir -p "$dir"
    link_policy "$1" >"$dir/sekisho.yaml"
    take_port
    link=127.0.0.1:$TAKEN
    take_port
    launch "$name" "$BUILT/sekisho" serve --policy "$dir/sekisho.yaml" --db "sqlite:$dir/sekisho.db" \
        --state "$dir" --api "127.0.0.1:$TAKEN" --link "$link"
    wait_until "$name" 60 url_answers "http://127.0.0.1:$TAKEN/v1/system/health"
    STARTED=$link:$(cat "$DEMO/pid/$name")
}

# link_policy DEPARTMENTS: as many, `d0` and on, each with a budget, `b0` and on
link_policy() {
    local last=$(($1 - 1))
    cat <<END
version: 1
organisation: Bench K.K.
time_zone: Asia/Tokyo
currency: JPY
directory: none
scopes: {text_apis: }
issuers:
  - issuer: $BENCH_ISSUER
    tenant: $BENCH_TENANT
    audiences: ["$BENCH_AUDIENCE"]
    department_claim: department
    jwks: $(cat "$DEMO/jwks.json")
upstreams: [{name: llm, provider: openai, url: "http://127.0.0.1:9"}]
apis:
  - {name: openai, provider: openai, operations: [chat_completions], scope: text_apis, models: [{name: gpt-4o, upstream: llm}]}
prices: [{model: gpt-4o, from: 2024-10-01, input_per_million: 375, output_per_million: 1500}]
departments:
END
    seq 0 "$last" | sed 's/.*/  - {id: d&, name: d&}/'
    echo budgets:
    seq 0 "$last" | sed 's/.*/  - {id: b&, department: d&, meter: tokens, window: month, limit: 1000000000000}/'
}
