#!/bin/sh
# Refreshes book/_static/vendor from npm. For maintainers; the result is committed, so that the book needs no other host.
# Of MathJax: TeX input, HTML output, its fonts, and the small extensions that its autoloader may ask for.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
to="$root/book/_static/vendor/mathjax"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --no-audit --no-fund --ignore-scripts mathjax@3.2.2 >/dev/null
from=node_modules/mathjax
rm -rf "$to"
mkdir -p "$to/output/chtml/fonts" "$to/input/tex/extensions"
cp "$from/LICENSE" "$from/es5/tex-chtml.js" "$to/"
cp -r "$from/es5/output/chtml/fonts/woff-v2" "$to/output/chtml/fonts/"
for name in bbox boldsymbol braket cancel color enclose html textcomp unicode upgreek verb; do
  cp "$from/es5/input/tex/extensions/$name.js" "$to/input/tex/extensions/"
done
du -sh "$to"
