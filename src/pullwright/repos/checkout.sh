# Lays a commit into a workspace as a git repository. Runs inside a sandbox, under plain sh.
# Arguments: commit, tree (files as in this tree; empty: the commit's), workspace, objects, state, lfs (a directory of Git
# LFS objects; empty: files stay pointers), sparse (the patterns of a sparse checkout; empty: everything).
#
# There are two git directories. The workspace's own is the agent's to use and to break. The one in `state` is ours: its
# index says what was laid out, its exclude file what was there before; a checkpoint is taken with it alone, so nothing
# that happens to the workspace's .git, its configuration or its index has a part in it.
set -eu
commit=$1 tree=${2:-$1} workspace=$3 objects=$4 state=$5 lfs=${6:-} sparse=${7:-}
LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1
GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=0 HOME=/nonexistent
export LC_ALL GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_ATTR_NOSYSTEM GIT_TERMINAL_PROMPT GIT_CONFIG_COUNT HOME
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE \
  GIT_CONFIG_PARAMETERS GIT_CONFIG GIT_COMMON_DIR GIT_ATTR_SOURCE GIT_EXTERNAL_DIFF XDG_CONFIG_HOME

make() { # an empty git directory at $1
  mkdir -p "$1/objects/info" "$1/objects/pack" "$1/refs/heads" "$1/info"
  echo "$objects" >"$1/objects/info/alternates"
  if [ -f "$objects/info/pullwright-shallow" ]; then cat "$objects/info/pullwright-shallow" >"$1/shallow"; fi
  if [ -f "$objects/info/pullwright-partial" ]; then
    printf '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n' >"$1/partial"
  fi
  # Times of files on stacked layers are true to the second, their inodes are not.
  cat >"$1/config" <<'CONFIG'
[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	trustctime = false
	checkStat = minimal
	logAllRefUpdates = true
[user]
	name = Pullwright
	email = pullwright@localhost
[gc]
	auto = 0
CONFIG
  if [ -n "$lfs" ]; then
    cat >"$1/lfs-filter" <<'FILTER'
@LFS-FILTER@
FILTER
    for verb in clean smudge; do
      git config -f "$1/config" "filter.lfs.$verb" "sh '$1/lfs-filter' $verb '$lfs' '$1/lfs/objects'"
    done
    git config -f "$1/config" filter.lfs.required true
  fi
  if [ -n "$sparse" ]; then
    printf '[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n' >>"$1/config"
    printf '%s\n' "$sparse" >"$1/info/sparse-checkout"
  fi
  if [ -f "$1/partial" ]; then cat "$1/partial" >>"$1/config"; rm "$1/partial"; fi
}

# Git's patterns for the paths in file $2, edited further by $1. In a pattern `?` stands for any one byte, so it will do for
# every byte that means something there or that git wrote with an escape.
pattern() {
  sed -e '/^"/{s/^"//;s/"$//;s/\\[0-7][0-7][0-7]/?/g;s/\\./?/g;}' -e 's/[][*\\ ]/?/g' -e 's|^|/|' -e "$1" "$2"
}

mkdir -p "$workspace"
cd "$workspace"
if [ -e .git ] || [ -L .git ]; then
  chmod -R u+rwX .git 2>/dev/null || true
  rm -rf .git
fi
old=
if [ -d "$state" ]; then
  # What an earlier checkout laid out here and this one does not hold is to go.
  if [ -f "$state/index" ] && git --git-dir="$state" ls-files >/dev/null 2>&1; then
    old=$(mktemp) && cat "$state/index" >"$old"
    touch -r "$state/index" "$old"
  fi
  chmod -R u+rwX "$state" 2>/dev/null || true
  rm -rf "$state"
fi
make "$state"
echo "$commit" >"$state/HEAD"
if [ -n "$old" ]; then mv "$old" "$state/index"; fi

GIT_DIR=$state GIT_WORK_TREE=$workspace
export GIT_DIR GIT_WORK_TREE
if [ -n "$old" ]; then git diff-index --cached --name-only -z "$tree" >"$state/moved"; fi
git read-tree --reset -u "$tree^{tree}"
if [ -z "$old" ]; then git ls-files -z >"$state/moved"; fi
# A file as young as the index counts as unsure and is read anew by every command; two seconds ago it does not.
xargs -0 -r touch -c -h -d "@$(($(date +%s) - 2))" -- <"$state/moved" || true
rm "$state/moved"
git update-index -q --refresh || true

# Files that git would rewrite when it takes them in (line endings that do not fit the attributes) are taken as they are.
git -c core.quotePath=false diff-files --name-only >"$state/unfit"
if [ -s "$state/unfit" ]; then
  pattern 's/$/ -text !eol !ident !filter !working-tree-encoding/' "$state/unfit" >"$state/info/attributes"
fi
rm "$state/unfit"

# What setup left behind is not the agent's work.
git -c core.quotePath=false ls-files --others --exclude-standard --directory >"$state/others"
if [ -s "$state/others" ]; then
  pattern '' "$state/others" >"$state/info/exclude"
fi
rm "$state/others"
unset GIT_DIR GIT_WORK_TREE

make "$workspace/.git"
echo "ref: refs/heads/pullwright" >.git/HEAD
echo "$commit" >.git/refs/heads/pullwright
# The source's branches and tags, ours to hand out: a ref of the agent's own is written beside them.
if [ -f "$objects/info/pullwright-refs" ]; then cat "$objects/info/pullwright-refs" >.git/packed-refs; fi
for file in exclude attributes; do
  if [ -f "$state/info/$file" ]; then cat "$state/info/$file" >".git/info/$file"; fi
done
cat "$state/index" >.git/index
touch -r "$state/index" .git/index
if [ "$tree" != "$commit" ]; then git read-tree --reset "$commit^{tree}"; fi
git update-index -q --refresh || true
