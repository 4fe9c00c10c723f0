# Lays a commit and its submodules into a workspace. Runs inside a sandbox, under plain sh.
# Arguments: the text of checkout.sh, workspace, state, commit, tree, objects, lfs (a directory of Git LFS objects;
# empty: files stay pointers), sparse (the patterns of a sparse checkout; empty: everything); then for each submodule,
# the outer ones first: name, path, commit, objects, lfs.
#
# A submodule is laid out as its parent is: a git directory of its own in its place, and one of ours beside the state.
set -eu
checkout=$1 workspace=$2 state=$3 commit=$4 tree=$5 objects=$6 lfs=$7 sparse=$8
shift 8

slug() { printf %s "$1" | sha1sum | cut -c1-16; }

# What an earlier checkout laid out and this one does not want is to go, before the parent looks for what is left over.
if [ -d "$state-modules" ]; then
  wanted=$(mktemp)
  n=0
  for word in "$@"; do
    n=$((n + 1))
    if [ $((n % 5)) = 2 ]; then slug "$word" >>"$wanted"; fi
  done
  for known in "$state"-modules/*/path; do
    [ -f "$known" ] || continue
    place=${known%/path}
    if ! grep -qx "${place##*/}" "$wanted"; then
      gone=$workspace/$(cat "$known")
      chmod -R u+rwX "$gone" "$place" 2>/dev/null || true
      rm -rf "$gone" "$place"
    fi
  done
  rm "$wanted"
fi

sh -c "$checkout" checkout "$commit" "$tree" "$workspace" "$objects" "$state" "$lfs" "$sparse"

while [ $# -ge 5 ]; do
  place=$state-modules/$(slug "$2")
  mkdir -p "$state-modules"
  sh -c "$checkout" checkout "$3" "$3" "$workspace/$2" "$4" "$place" "$5" ""
  printf %s "$2" >"$place/path"
  git -C "$workspace" config "submodule.$1.active" true || true
  shift 5
done
