#!/bin/sh
# The lake that lies beside this: fifty-three versions, of which the newest are kept, with a snapshot. Run in an empty folder with the release's `taskloom` on the path.
set -eu
here=$(dirname "$(realpath "$0")")
cp "$here/first.ndjson" "$here/second.ndjson" .
taskloom flatten first.ndjson --out lake --quiet
for _ in $(seq 24); do
    taskloom tag lake passing
    taskloom tag lake passing --remove
done
taskloom flatten first.ndjson --out lake --overwrite --quiet
taskloom tag lake golden
taskloom vacuum lake --retain 0s
taskloom flatten second.ndjson --out lake --overwrite --quiet
