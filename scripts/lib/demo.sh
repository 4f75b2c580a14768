# shellcheck shell=bash
# The demo's processes: how each is started, how one sees that it is ready, how all are stopped.
# DEMO is the folder with their state, logs and process ids.

DEMO=$RUN_DIR/demo
BUILT=$(target_dir)/release

# build_demo PART[,PART...]: sets up these parts (scripts/setup --only), and builds the demo
build_demo() {
    heading "Setting up"
    "$ROOT/scripts/setup" --only "$1"
    heading "Building"
    "$ROOT/scripts/build-filters"
    step "Building the sidecar and the demo's programs" \
        native_cargo build --release --locked \
        -p sekisho -p sekisho-demo-providers -p sekisho-demo-metering ||
        die "the build failed; the compiler's words stand above"
}

# With FRESH, what earlier runs have recorded is forgotten.
start_demo() {
    heading "Starting"
    local name
    for name in SEKISHO_GATEWAY_PORT SEKISHO_GATEWAY_TLS_PORT SEKISHO_API_PORT SEKISHO_LINK_PORT \
        SEKISHO_ENVOY_ADMIN_PORT SEKISHO_IDENTITY_PORT SEKISHO_PROVIDERS_PORT; do
        require_free_port "$name"
    done
    [[ -z ${FRESH:-} ]] || rm -rf "$DEMO"
    prepare_demo
    start_identity
    start_providers
    import_people
    start_sidecar
    start_envoy
}

verify_log() {
    heading "Audit log"
    "$BUILT/sekisho" audit verify --db "$(demo_database)" --checkpoints "$DEMO/state/checkpoints" --archive "$DEMO/archive"
}

demo_log() { printf '%s/log/%s.log\n' "$DEMO" "$1"; }

# launch NAME COMMAND...: in the background, in a process group of its own, output to its log
launch() {
    local name=$1
    shift
    mkdir -p "$DEMO/log" "$DEMO/pid"
    setsid "$@" >>"$(demo_log "$name")" 2>&1 </dev/null &
    printf '%s\n' $! >"$DEMO/pid/$name"
}

is_running() {
    local pid
    pid=$(cat "$DEMO/pid/$1" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# wait_until NAME SECONDS COMMAND...: dies with the end of NAME's log when it stops or takes too long
wait_until() {
    local name=$1 limit=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! is_running "$name" || ((SECONDS >= limit)); then
            tail -n 20 "$(demo_log "$name")" >&2
            die "$name is not ready; the end of its log stands above, the rest is in $(demo_log "$name")"
        fi
        sleep 0.1
    done
    done_line "$name"
}

url_answers() { curl -fsS -o /dev/null --max-time 2 "$1"; }
port_answers() { ! port_is_free "$1"; }

# A worker answers 503 until it has the policy and has been heard by the sidecar; from then on a
# model that nobody offers is 404. Several calls, so that every worker has had one.
gateway_takes_calls() {
    local token status
    token=$("$ROOT/scripts/token" taro) || return 1
    for _ in 1 2 3 4 5 6 7 8; do
        status=$(curl -sS -o /dev/null --max-time 2 -w '%{http_code}' -H "Authorization: Bearer $token" \
            -H 'Content-Type: application/json' -d '{"model": "none"}' \
            "http://127.0.0.1:$SEKISHO_GATEWAY_PORT/v1/chat/completions") || return 1
        [[ $status == 404 ]] || return 1
    done
}

# The demo's policy with the ports of this run, and keys that the stand-ins will want to see.
prepare_demo() {
    mkdir -p "$DEMO/state" "$DEMO/secrets" "$DEMO/tls"
    chmod 700 "$DEMO/state" "$DEMO/secrets" "$DEMO/tls"
    local port=$SEKISHO_PROVIDERS_PORT
    sed -e "s/127\.0\.0\.1:8090/127.0.0.1:$SEKISHO_IDENTITY_PORT/" \
        -e "s/127\.0\.0\.1:8091/127.0.0.1:$port/" \
        -e "s/127\.0\.0\.1:8092/127.0.0.1:$((port + 1))/" \
        -e "s/127\.0\.0\.1:8093/127.0.0.1:$((port + 2))/" \
        -e "s/127\.0\.0\.1:8094/127.0.0.1:$((port + 3))/" \
        -e "s/127\.0\.0\.1:8095/127.0.0.1:$((port + 4))/" \
        -e "s/127\.0\.0\.1:8096/127.0.0.1:$((port + 5))/" \
        "$ROOT/examples/demo/sekisho.yaml" >"$DEMO/sekisho.yaml"
    local keys=$DEMO/secrets/keys.env name
    touch "$keys"
    for name in AZURE_OPENAI_API_KEY OPENAI_API_KEY ANTHROPIC_API_KEY GEMINI_API_KEY VERTEX_TOKEN; do
        add_key "$name" "demo-$(random_hex 16)"
    done
    add_key AWS_ACCESS_KEY_ID "AKIADEMO$(random_hex 6 | tr 'a-f' 'A-F')"
    add_key AWS_SECRET_ACCESS_KEY "$(random_hex 20)"
    set -a
    # shellcheck source=/dev/null
    source "$keys"
    set +a
    [[ -s $DEMO/tls/ca.crt ]] || make_certificates
}

# add_key NAME VALUE: unless there is one from an earlier run
add_key() {
    grep -q "^$1=" "$DEMO/secrets/keys.env" || printf '%s=%s\n' "$1" "$2" >>"$DEMO/secrets/keys.env"
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# boto3 sends bearer tokens over TLS only, so the demo's gateway speaks it too.
make_certificates() {
    have openssl || die "openssl is needed for the demo's certificate; install it (on Debian: apt-get install openssl)"
    (
        cd "$DEMO/tls" &&
            openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Sekisho demo CA' \
                -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign' \
                -keyout ca.key -out ca.crt &&
            openssl req -newkey rsa:2048 -nodes -subj '/CN=127.0.0.1' -keyout gateway.key -out gateway.csr &&
            printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n' >gateway.ext &&
            openssl x509 -req -in gateway.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
                -extfile gateway.ext -out gateway.crt
    ) >/dev/null 2>&1 || die "the demo's certificate could not be made; run openssl version and try again"
    chmod 600 "$DEMO"/tls/*.key
}

start_identity() {
    launch identity env SEKISHO_IDENTITY_STATE="$DEMO/state" node "$IDENTITY_DIR/main.mjs"
    wait_until identity 20 port_answers "$SEKISHO_IDENTITY_PORT"
}

start_providers() {
    launch providers env \
        SEKISHO_DEMO_AZURE_OPENAI_KEY="$AZURE_OPENAI_API_KEY" SEKISHO_DEMO_OPENAI_KEY="$OPENAI_API_KEY" \
        SEKISHO_DEMO_ANTHROPIC_KEY="$ANTHROPIC_API_KEY" SEKISHO_DEMO_GEMINI_KEY="$GEMINI_API_KEY" \
        SEKISHO_DEMO_VERTEX_TOKEN="$VERTEX_TOKEN" \
        SEKISHO_DEMO_BEDROCK_ACCESS_KEY_ID="$AWS_ACCESS_KEY_ID" \
        SEKISHO_DEMO_BEDROCK_SECRET_ACCESS_KEY="$AWS_SECRET_ACCESS_KEY" \
        "$BUILT/sekisho-demo-providers"
    wait_until providers 20 url_answers "http://127.0.0.1:$SEKISHO_PROVIDERS_PORT/__demo/served"
}

demo_database() { printf 'sqlite:%s\n' "$DEMO/state/sekisho.db"; }

import_people() {
    "$BUILT/sekisho" users import "$ROOT/examples/demo/people.csv" \
        --policy "$DEMO/sekisho.yaml" --db "$(demo_database)" ||
        die "the demo's people could not be imported"
}

start_sidecar() {
    launch sidecar "$BUILT/sekisho" serve --policy "$DEMO/sekisho.yaml" --db "$(demo_database)" \
        --state "$DEMO/state" --archive "$DEMO/archive" \
        --api "127.0.0.1:$SEKISHO_API_PORT" --link "127.0.0.1:$SEKISHO_LINK_PORT"
    wait_until sidecar 20 url_answers "http://127.0.0.1:$SEKISHO_API_PORT/v1/system/health"
}

start_envoy() {
    local envoy
    envoy=$(envoy_bin) || die "Envoy is not set up; run scripts/setup --only envoy"
    "$BUILT/sekisho" secrets write --policy "$DEMO/sekisho.yaml" --dir "$DEMO/secrets" >/dev/null
    "$BUILT/sekisho" render envoy --policy "$DEMO/sekisho.yaml" --filters "$FILTERS" \
        --modules "${SEKISHO_MODULES:-gateway}" \
        --listen "127.0.0.1:$SEKISHO_GATEWAY_PORT" --tls-listen "127.0.0.1:$SEKISHO_GATEWAY_TLS_PORT" \
        --tls-cert "$DEMO/tls/gateway.crt" --tls-key "$DEMO/tls/gateway.key" \
        --admin "127.0.0.1:$SEKISHO_ENVOY_ADMIN_PORT" --link "127.0.0.1:$SEKISHO_LINK_PORT" \
        --secrets "$DEMO/secrets" --access-log "$DEMO/log/access.log" >"$DEMO/envoy.yaml"
    launch envoy env AWS_EC2_METADATA_DISABLED=true "$envoy" -c "$DEMO/envoy.yaml" --concurrency 2 --log-level warning --disable-hot-restart
    wait_until envoy 60 url_answers "http://127.0.0.1:$SEKISHO_ENVOY_ADMIN_PORT/ready"
    wait_until envoy 20 gateway_takes_calls
}

# Envoy first, so that what is under way is recorded; each gets five seconds to end by itself.
stop_demo() {
    local name pid limit stopped=0
    for name in envoy sidecar providers identity; do
        pid=$(cat "$DEMO/pid/$name" 2>/dev/null) || continue
        rm -f "$DEMO/pid/$name"
        kill -TERM -- "-$pid" 2>/dev/null || continue
        limit=$((SECONDS + 5))
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < limit)); do sleep 0.05; done
        kill -KILL -- "-$pid" 2>/dev/null || true
        stopped=$((stopped + 1))
    done
    return $((stopped == 0))
}
