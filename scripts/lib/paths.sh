# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this use the variables
# Where things are. Everything outside the clone is a cache: it may vanish at any moment.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
CACHE=${SEKISHO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sekisho}
FILTERS=$ROOT/target/filters
FILTER_NAMES=(gateway scope quota upstream audit)
RUN_DIR=${SEKISHO_RUN_DIR:-$ROOT/.run}

TOOLS=$CACHE/tools
SDKS_VENV=$CACHE/sdks
SDKS_PYTHON=$SDKS_VENV/bin/python
CHECKS_VENV=$CACHE/checks
CHECKS_PYTHON=$CHECKS_VENV/bin/python
NODE_DIR=$CACHE/node
AZURITE_DIR=$CACHE/azurite
STORES_VENV=$CACHE/stores
IDENTITY_DIR=$ROOT/examples/demo/identity

ENVOY_VERSION=1.40.0
NODE_MINIMUM=20
PYTHON_MINIMUM=3.11

# Tools of the cache serve where the machine has none of its own; Node goes first, because it is
# there only when the machine's own is too old.
PATH=$NODE_DIR/bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:$TOOLS/bin
export PATH

# envoy_bin -> the Envoy to run: ENVOY_BIN if set, else the cache's; status 1 when it is not there
envoy_bin() {
    local envoy=${ENVOY_BIN:-$CACHE/envoy/$ENVOY_VERSION/envoy}
    [[ -x $envoy ]] && printf '%s\n' "$envoy"
}
