# Writes a workspace's tree as a pack to standard output: a line `pullwright-capture TREE`, then a pack of what the store
# does not hold, or nothing where it holds everything. Runs inside a sandbox, under plain sh.
# Arguments: workspace, objects, state.
set -eu
workspace=$1 objects=$2 state=$3
LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1
GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=0 GIT_DIR=$state GIT_WORK_TREE=$workspace HOME=/nonexistent
export LC_ALL GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_ATTR_NOSYSTEM GIT_TERMINAL_PROMPT \
  GIT_CONFIG_COUNT GIT_DIR GIT_WORK_TREE HOME
unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_CONFIG_PARAMETERS \
  GIT_CONFIG GIT_COMMON_DIR GIT_ATTR_SOURCE GIT_EXTERNAL_DIFF XDG_CONFIG_HOME

if [ ! -f "$state/HEAD" ]; then
  echo "the platform's notes in $state are gone, so what changed cannot be told; the last checkpoint stands" >&2
  exit 1
fi
rm -f "$state/index.lock"
cd "$workspace"
add() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.safecrlf=false -c advice.addEmbeddedRepo=false \
  add --all --sparse "$@" -- . 2>"$state/said"; }
if ! add || grep -q "could not open directory" "$state/said"; then
  # A file that its owner may not read, a repository without commits, a name that git refuses: take the rest.
  find . -path ./.git -prune -o -type f ! -perm -u+r -exec chmod u+r {} \; \
    -o -type d ! -perm -u+rx -exec chmod u+rx {} \; 2>/dev/null || true
  cp "$state/info/exclude" "$state/exclude-before" 2>/dev/null || : >"$state/exclude-before"
  find . -mindepth 2 -name .git -prune -print | sed -e 's|/\.git$||' -e 's|^\.||' -e 's/[][*\]/?/g' -e 's/ $/?/' \
    >>"$state/info/exclude"
  add --ignore-errors || [ $? -eq 1 ] || { cat "$state/said" >&2; exit 1; }
  mv "$state/exclude-before" "$state/info/exclude"
  cat "$state/said" >&2
fi
# A repository inside the workspace that is no submodule of the base cannot be part of a tree; it is left out.
new() { git diff-index --cached --raw --no-renames --no-ext-diff --diff-filter=AT "$@" HEAD; }
if new | grep -q '^:[0-7]* 160000 '; then
  new -z | tr '\n\0' '\0\n' | sed -n '/^:[0-7]* 160000 /{n;p;}' | tr '\n\0' '\0\n' |
    git update-index -z --force-remove --stdin
  echo "repositories inside the workspace are left out" >&2
fi
# What is uncommitted inside a submodule belongs to no tree of the parent's.
for known in "$state"-modules/*/path; do
  [ -f "$known" ] || continue
  inner=$(cat "$known")
  if [ -n "$(GIT_DIR=${known%/path} GIT_WORK_TREE=$workspace/$inner git -C "$workspace/$inner" status --porcelain 2>/dev/null | head -n 1)" ]; then
    printf 'pullwright-left-out %s\n' "$inner" >&2
  fi
done
tree=$(git write-tree)
echo "pullwright-capture $tree"
printf '%s\n^%s\n' "$tree" "$(cat "$state/HEAD")" |
  git pack-objects --revs --local --thin --delta-base-offset --threads=1 -q --stdout
