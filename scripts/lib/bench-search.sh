# shellcheck shell=bash
# `scripts/bench search`: how long a search of the audit log takes among many records. prelude.sh, bench.sh and postgres.sh come before it.

search_usage() {
    cat <<END
usage: scripts/bench search [--records N] [--people N] [--searches N] [--store sqlite|postgres] [--check] [--no-build] [--help]

Fills a database with records of three months as a company's calls make them, and asks for pages as the REST API does:
  person and month, a page              the newest 100 records of a person in a month: the goal is 200 ms at the 95th percentile
  person and month, all of it           page after page
  person, month and model, a page       what no index has, looked up on the way
  department and month, a page
First on SQLite, then on a PostgreSQL of its own, each deleted afterwards. Writes target/bench/search-sqlite.json and
search-postgres.json.

  --records N    records (default 1000000). 10 million need about 12 GB of disk while they are there
  --people N     people who call (default 2000)
  --searches N   searches of each kind (default 200)
  --store STORE  on this one alone
  --no-build     measures what was built before
  --check        ends with status 1 if the goal is missed
END
}

bench_search() {
    local records=1000000 people=2000 searches=200 stores=(sqlite postgres) store
    while (($#)); do
        case $1 in
        -h | --help) search_usage && return ;;
        --store)
            [[ ${2:-} == sqlite || ${2:-} == postgres ]] || die "--store needs \`sqlite\` or \`postgres\`"
            stores=("$2")
            WORDS=2
            ;;
        *) take_option "scripts/bench search" "records people searches" "$@" ;;
        esac
        shift "$WORDS"
    done
    if [[ -n $REBUILD ]]; then
        "$ROOT/scripts/setup" --only rust
        step "Building" native_cargo build --release --locked -p sekisho-bench ||
            die "the build failed; the compiler's words stand above"
    fi
    # Beside the report, because a temporary folder may be in memory.
    mkdir -p "$OUT"
    SEARCH_DIR=$(mktemp -d "$OUT/search.XXXXXX")
    trap stop_search EXIT
    trap 'exit 130' INT TERM
    for store in "${stores[@]}"; do
        heading "$store"
        measure_search "$store"
    done
}

measure_search() {
    local url=sqlite:$SEARCH_DIR/sekisho.db
    if [[ $1 == postgres ]]; then
        "$ROOT/scripts/setup" --only postgres
        start_postgres
        url=$POSTGRES_URL
    fi
    "$BUILT/sekisho-bench" search --db "$url" --records "$records" --people "$people" --searches "$searches" \
        --out "$OUT/search-$1.json" "${CHECK[@]}" || die "see above"
    rm -f "$SEARCH_DIR"/sekisho.db*
    stop_postgres
}

stop_search() {
    stop_postgres
    rm -rf "${SEARCH_DIR:?}"
}
