# shellcheck shell=bash
# shellcheck disable=SC2034  # bench.sh uses NEXT_PORT
# `scripts/bench search`: how long searches of the audit log take among many records. prelude.sh, demo.sh, bench.sh,
# bench-link.sh and postgres.sh come before it.

SEARCH_DEPARTMENTS=40
# Disk of a record with its indexes, bytes, and what is needed besides.
declare -A SEARCH_BYTES=([sqlite]=1100 [postgres]=1400)
SEARCH_SPARE=$((2 << 30))

search_usage() {
    cat <<END
usage: scripts/bench search [--records N] [--people N] [--searches N] [--store sqlite|postgres] [--keep] [--check]
                            [--no-build] [--help]

Fills a database with the records of three months as a company's calls make them, through the sidecar's own writer,
starts a sidecar on it, and asks \`GET /v1/audit/logs/search\` for pages of a month as an auditor would: of a person, a
department, an API, refusals, with a text; of those who call much and who hardly call; first pages and later ones; and
what is nowhere, for which a page looks at as many records as it may. The goal is 200 ms at the 95th percentile.
Then gateways' workers speak Link to the same sidecar, as in \`scripts/bench link\`: what it commits with so many
records in its log.
First on SQLite, then on a PostgreSQL of its own, each deleted afterwards. Writes target/bench/search-sqlite.json and
search-postgres.json, and what Link took beside it as link.json in target/bench/search-link-sqlite and -postgres.

  --records N    records (default 1000000). 10 million take 10 GB of disk on SQLite, where a busy machine of two cores
                 needed 21 minutes to write them, and about 14 GB on PostgreSQL
  --people N     people who call (default 2000)
  --searches N   searches of each kind (default 200)
  --store STORE  on this one alone
  --keep         leaves an SQLite database where it is, and says where
  --no-build     measures what was built before
  --check        ends with status 1 if a goal is missed

Ports: $BENCH_PORT to $((BENCH_PORT + 3)) on 127.0.0.1; SEKISHO_BENCH_PORT moves the first.
END
}

bench_search() {
    local records=1000000 people=2000 searches=200 stores=(sqlite postgres) keep='' store
    local command="scripts/bench search${*:+ $*}"
    while (($#)); do
        case $1 in
        -h | --help) search_usage && return ;;
        --store)
            [[ ${2:-} == sqlite || ${2:-} == postgres ]] || die "--store needs \`sqlite\` or \`postgres\`"
            stores=("$2")
            WORDS=2
            ;;
        --keep) keep=yes WORDS=1 ;;
        *) take_option "scripts/bench search" "records people searches" "$@" ;;
        esac
        shift "$WORDS"
    done
    # Beside the report, because a temporary folder may be in memory.
    mkdir -p "$OUT"
    for store in "${stores[@]}"; do
        need_room "$store"
    done
    if [[ -n $REBUILD ]]; then
        "$ROOT/scripts/setup" --only rust
        step "Building the sidecar and the load" native_cargo build --release --locked -p sekisho -p sekisho-bench ||
            die "the build failed; the compiler's words stand above"
    fi
    DEMO=$(mktemp -d "$OUT/run.XXXXXX")
    trap stop_search EXIT
    trap 'exit 130' INT TERM
    NEXT_PORT=$BENCH_PORT
    make_issuer
    search_policy >"$DEMO/sekisho.yaml"
    printf 'name,email,department,object_id\nAuditor,auditor@bench.example,d0,%s\n' 5e6c7d80-91ab-4f00-8a00-000000000001 >"$DEMO/people.csv"
    "$BUILT/sekisho-bench" tokens --key "$DEMO/issuer.der" --people "$DEMO/people.csv" --issuer "$BENCH_ISSUER" \
        --audience "$BENCH_AUDIENCE" --tenant "$BENCH_TENANT" --scope text_apis --role Sekisho.Auditor \
        --issued-at "$(date +%s)" --count 1 >"$DEMO/token"
    for store in "${stores[@]}"; do
        measure_search "$store"
    done
}

# search_folder STORE -> where its database is going to be
search_folder() {
    if [[ $1 == postgres ]]; then echo /tmp; else echo "$OUT"; fi
}

# need_room STORE: dies unless the disk has room for as many records
need_room() {
    local folder free need
    folder=$(search_folder "$1")
    free=$(df --output=avail --block-size=1 "$folder" | tail -n 1)
    need=$((records * SEARCH_BYTES[$1] + SEARCH_SPARE))
    ((free >= need)) || die "$records records on $1 take about $((need >> 30)) GiB of disk, and $folder has $((free >> 30)) GiB free: make room, or ask for fewer with --records"
}

measure_search() {
    local store=$1 url=sqlite:$DEMO/sekisho.db name=SQLite size=(--records "$records" --people "$people") link missed=''
    heading "$store"
    if [[ $store == postgres ]]; then
        "$ROOT/scripts/setup" --only postgres
        start_postgres
        url=$POSTGRES_URL name=PostgreSQL
    fi
    need_room "$store"
    "$BUILT/sekisho-bench" fill --db "$url" --policy "$DEMO/sekisho.yaml" "${size[@]}" || die "see above"
    take_port
    link=127.0.0.1:$TAKEN
    take_port
    # A state of its own: the log's key is the filler's.
    launch "$store" "$BUILT/sekisho" serve --policy "$DEMO/sekisho.yaml" --db "$url" --state "$DEMO/state-$store" \
        --api "127.0.0.1:$TAKEN" --link "$link"
    wait_until "$store" 120 url_answers "http://127.0.0.1:$TAKEN/v1/system/health"
    "$BUILT/sekisho-bench" search --api "127.0.0.1:$TAKEN" --token "$DEMO/token" --database "$name" "${size[@]}" \
        --searches "$searches" --out "$OUT/search-$store.json" "${CHECK[@]}" || missed=yes
    mkdir -p "$OUT/search-link-$store"
    "$BUILT/sekisho-bench" link --sidecar "$SEARCH_DEPARTMENTS=$link:$(cat "$DEMO/pid/$store")" --disk "$DEMO" \
        --out "$OUT/search-link-$store" --command "$command" || die "see above; its log is in $(demo_log "$store")"
    kill_group "$store"
    [[ -z $missed ]] || die "see above: a goal is missed, or there was no answer"
    if [[ -n $keep && $store == sqlite ]]; then
        mv "$DEMO"/sekisho.db* "$OUT/"
        echo "The database is $OUT/sekisho.db"
    fi
    rm -f "$DEMO"/sekisho.db*
    stop_postgres
}

# kill_group NAME: ends what was launched, and waits for it
kill_group() {
    local pid
    pid=$(cat "$DEMO/pid/$1") && rm "$DEMO/pid/$1"
    kill -TERM -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

stop_search() {
    stop_bench
    stop_postgres
}

search_policy() {
    local model
    link_policy "$SEARCH_DEPARTMENTS" | grep -v '^prices:'
    echo "prices:"
    for model in gpt-4o gpt-4o-mini claude-sonnet gemini-pro; do
        echo "  - {model: $model, from: 2024-10-01, input_per_million: 375, output_per_million: 1500}"
    done
}
