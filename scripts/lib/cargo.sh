# shellcheck shell=bash
# Builds: which compiler makes wasm, and how clones share what they compiled.

WASM_TARGET=wasm32-wasip1
DEBIAN_RUSTC=/usr/bin/rustc
DEBIAN_RUST_SRC=/usr/lib/rustlib/src/rust/library
DEBIAN_WASI_LIBC=/usr/lib/wasm32-wasi

# target_dir -> where native builds of this clone go
target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-$ROOT/target}"; }

# native_cargo ARGUMENTS...: cargo for this machine. It looks for `.cargo/config.toml` where it is called.
native_cargo() { (cd "$ROOT" && cargo "$@"); }

# pinned_rust -> the version in rust-toolchain.toml
pinned_rust() { sed -n 's/^channel *= *"\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml"; }

# version_at_least HAVE WANT
version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# wasm_toolchain -> "rustup" (the pinned compiler has the target's standard library) or "debian"
# (Debian's newer compiler builds it from Debian's source), or status 1 when neither is there.
# SEKISHO_WASM_TOOLCHAIN=rustup|debian insists on one.
wasm_toolchain() {
    local wanted=${SEKISHO_WASM_TOOLCHAIN:-any}
    if [[ $wanted != debian ]] && rustup_has_wasm; then
        echo rustup
    elif [[ $wanted != rustup ]] && debian_has_wasm; then
        echo debian
    else
        return 1
    fi
}

rustup_has_wasm() {
    local sysroot
    sysroot=$(cd "$ROOT" && rustc --print sysroot 2>/dev/null) || return 1
    [[ -d $sysroot/lib/rustlib/$WASM_TARGET/lib ]]
}

debian_has_wasm() {
    [[ -x $DEBIAN_RUSTC && -d $DEBIAN_RUST_SRC && -f $DEBIAN_WASI_LIBC/libc.a ]] || return 1
    wasm_linker >/dev/null || return 1
    version_at_least "$("$DEBIAN_RUSTC" --version | cut -d' ' -f2)" "$(pinned_rust)"
}

wasm_linker() {
    local linker
    for linker in wasm-ld-19 wasm-ld-20 wasm-ld-21 wasm-ld; do
        have "$linker" && printf '%s\n' "$linker" && return 0
    done
    return 1
}

# wasm_cargo TOOLCHAIN SUBCOMMAND ARGUMENTS...: cargo for the wasm target
wasm_cargo() {
    local toolchain=$1 subcommand=$2 linker
    shift 2
    # Before the arguments: some of them may stand behind a `--` and be the compiler's.
    set -- "$subcommand" --target "$WASM_TARGET" "$@"
    if [[ $toolchain == rustup ]]; then
        cargo "$@"
        return
    fi
    linker=$(wasm_linker) &&
        RUSTC=$DEBIAN_RUSTC RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_WASM32_WASIP1_LINKER=$linker \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=-L$DEBIAN_WASI_LIBC \
            cargo -Zbuild-std=std,panic_abort "$@"
}

# Several clones share one target directory in the cache, so that third-party crates are compiled
# once. Cargo cannot tell our own crates of two clones apart: it names them by their path inside the
# workspace and judges them by modification time, so an older clone would get a newer clone's code.
# Hence one clone at a time, and a clone that comes after another compiles all of our crates again.

# share_target DIRECTORY SCRIPT ARGUMENTS...: returns when this process owns the directory; runs the
# script anew under the directory's lock if it does not.
share_target() {
    local dir=$1
    shift
    if [[ ${SEKISHO_OWNED_TARGETS:-} == *"|$dir|"* ]]; then
        return 0
    fi
    mkdir -p "$dir" || die "cannot create $dir; set SEKISHO_CACHE to a folder that you may write to"
    flock -n "$dir/.lock" true || note "another clone builds in $dir: waiting for it"
    # shellcheck disable=SC2016  # the inner shell expands them
    SEKISHO_OWNED_TARGETS="${SEKISHO_OWNED_TARGETS:-}|$dir|" \
        exec flock --close "$dir/.lock" bash -c 'source "$0" && forget_other_clone "$1" && shift && exec "$@"' \
        "$ROOT/scripts/lib/prelude.sh" "$dir" "$@"
}

forget_other_clone() {
    local dir=$1 me
    me=$(clone_identity)
    if [[ $(cat "$dir/.owner" 2>/dev/null) != "$me" ]]; then
        find "$dir" -type d -path '*/.fingerprint/sekisho*' -prune -exec rm -rf {} + &&
            printf '%s\n' "$me" >"$dir/.owner"
    fi
}

# Path, inode and a random word of its own: a clone moved, copied or made anew is another clone.
clone_identity() {
    local word=$ROOT/target/.clone
    if [[ ! -s $word ]]; then
        mkdir -p "$ROOT/target"
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$word"
    fi
    printf '%s %s %s\n' "$ROOT" "$(stat -c %i "$ROOT")" "$(cat "$word")"
}
