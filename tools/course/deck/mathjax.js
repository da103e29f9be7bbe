// MathJax's components stand above, one after the other, so that nothing is fetched. FONTS holds the data of its fonts.
for (const rule of Object.values(MathJax._.output.chtml.fonts.tex_ts.TeXFont.defaultFonts)) {
  const file = /MathJax_([\w-]+)\.woff/.exec(rule.src);
  if (file) rule.src = file[1] in FONTS ? `url(data:font/woff;base64,${FONTS[file[1]]}) format("woff")` : "local('none')";
}
MathJax.startup.defaultReady();
