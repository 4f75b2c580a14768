# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this use the variables
# A PostgreSQL for tests: in a folder of its own, reached over a socket in it, gone when it is stopped.

POSTGRES_DIR=

# postgres_bin -> the folder of PostgreSQL's programs; status 1 when there are none
postgres_bin() {
    local dir
    for dir in "${POSTGRES_BIN:-}" /usr/lib/postgresql/*/bin "$(dirname "$(command -v postgres || echo /)")"; do
        [[ -n $dir && -x $dir/initdb && -x $dir/pg_ctl ]] && printf '%s\n' "$dir" && return 0
    done
    return 1
}

# The server refuses to run as root; Debian's package brings an account for it.
as_postgres() {
    if ((EUID == 0)); then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# start_postgres -> sets POSTGRES_DIR and POSTGRES_URL
start_postgres() {
    local bin
    bin=$(postgres_bin) || die "there is no PostgreSQL; run scripts/setup --only postgres"
    # Not in the clone: a socket's path must be short, and the account must be able to enter it.
    POSTGRES_DIR=$(mktemp -d /tmp/sekisho-postgres.XXXXXX)
    ((EUID != 0)) || chown postgres "$POSTGRES_DIR"
    as_postgres "$bin/initdb" --pgdata "$POSTGRES_DIR/data" --username postgres --auth trust --encoding UTF8 --no-sync \
        >"$POSTGRES_DIR/initdb.log" 2>&1 || die "initdb failed; see $POSTGRES_DIR/initdb.log"
    as_postgres "$bin/pg_ctl" --pgdata "$POSTGRES_DIR/data" --log "$POSTGRES_DIR/server.log" --wait --silent \
        --options "-c listen_addresses='' -c unix_socket_directories=$POSTGRES_DIR -c max_connections=200" start ||
        die "PostgreSQL does not start; see $POSTGRES_DIR/server.log"
    POSTGRES_URL="postgres://postgres@localhost/postgres?host=$POSTGRES_DIR"
    done_line "PostgreSQL: $("$bin/postgres" --version | sed 's/.*) //'), $POSTGRES_DIR"
}

stop_postgres() {
    local bin
    [[ -n $POSTGRES_DIR ]] || return 0
    bin=$(postgres_bin) || return 0
    as_postgres "$bin/pg_ctl" --pgdata "$POSTGRES_DIR/data" --mode immediate --silent stop || true
    rm -rf "$POSTGRES_DIR"
    POSTGRES_DIR=
}
