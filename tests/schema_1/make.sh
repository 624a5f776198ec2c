#!/bin/sh
# The lake that lies beside this, of schema version 1. Run in an empty folder with a `taskloom` of that schema on the path.
set -eu
here=$(dirname "$(realpath "$0")")
cp "$here/first.ndjson" "$here/second.ndjson" .
taskloom flatten first.ndjson --out lake --quiet
taskloom tag lake before
taskloom flatten second.ndjson --out lake --quiet
taskloom compact lake --quiet
