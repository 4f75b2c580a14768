# shellcheck shell=bash
# The first line of every script here: source "$(dirname "${BASH_SOURCE[0]}")/lib/prelude.sh"

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/console.sh"
source "$(dirname "${BASH_SOURCE[0]}")/paths.sh"
source "$(dirname "${BASH_SOURCE[0]}")/ports.sh"
source "$(dirname "${BASH_SOURCE[0]}")/cargo.sh"
