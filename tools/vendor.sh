#!/bin/sh
# Refreshes book/_static/vendor from npm. For maintainers; the result is committed, so that the book needs no other host.
# Of MathJax: the components that _config.yml loads, the HTML output's fonts, and the small extensions that its
# autoloader may ask for. One component a file, not one bundle of 1.2 MB. Left out: the menu, which can load more.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
to="$root/book/_static/vendor/mathjax"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --no-audit --no-fund --ignore-scripts mathjax@3.2.2 >/dev/null
cd node_modules/mathjax/es5
rm -rf "$to"
for file in startup core input/tex output/chtml output/chtml/fonts/tex a11y/assistive-mml \
  input/tex/extensions/bbox input/tex/extensions/boldsymbol input/tex/extensions/braket \
  input/tex/extensions/cancel input/tex/extensions/color input/tex/extensions/enclose input/tex/extensions/html \
  input/tex/extensions/textcomp input/tex/extensions/unicode input/tex/extensions/upgreek input/tex/extensions/verb; do
  mkdir -p "$to/$(dirname "$file")"
  cp "$file.js" "$to/$file.js"
done
cp -r output/chtml/fonts/woff-v2 "$to/output/chtml/fonts/"
cp ../LICENSE "$to/"
du -sh "$to"
find "$to" -size +1024k -exec echo "larger than 1 MiB:" {} +
