# Writes the commits that were made in a workspace as a pack to standard output: a line `pullwright-commits COMMIT`, then
# a pack of what the store does not hold; nothing where none were made. Runs inside a sandbox, under plain sh.
# Arguments: workspace, the commit that HEAD was at when the workspace was laid out.
#
# This is the agent's own git directory, so nothing here is to be believed before it has been checked outside.
set -eu
workspace=$1 base=$2
LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1
GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=0 GIT_NO_REPLACE_OBJECTS=1 HOME=/nonexistent
export LC_ALL GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_ATTR_NOSYSTEM GIT_TERMINAL_PROMPT \
  GIT_CONFIG_COUNT GIT_NO_REPLACE_OBJECTS HOME
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE \
  GIT_CONFIG_PARAMETERS GIT_CONFIG GIT_COMMON_DIR GIT_ATTR_SOURCE GIT_EXTERNAL_DIFF XDG_CONFIG_HOME

cd "$workspace"
head=$(git rev-parse --verify --quiet 'HEAD^{commit}') || exit 0
[ "$head" != "$base" ] || exit 0
if ! git merge-base --is-ancestor "$base" "$head" 2>/dev/null; then
  echo "what HEAD is on was not made on $base" >&2
  exit 0
fi
echo "pullwright-commits $head"
printf '%s\n^%s\n' "$head" "$base" | git pack-objects --revs --thin --delta-base-offset --threads=1 -q --stdout
