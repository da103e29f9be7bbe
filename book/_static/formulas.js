// MathJax draws the formulas of a page in one go, a quarter of a second in which the page does not answer its reader.
// Here it draws what can be seen, then some at a time; MathJax.startup.promise is kept when all are drawn.
(function () {
  "use strict";
  const AT_ONCE = 10; // about the work of one picture of an animation
  const FONTS = ["Main-Regular", "Math-Italic"]; // of nearly every formula: what is drawn before them moves when they come
  if (!window.MathJax) return; // a page without formulas

  for (const name of location.protocol === "file:" ? [] : FONTS) {
    const path = `vendor/mathjax/output/chtml/fonts/woff-v2/MathJax_${name}.woff`;
    const link = document.createElement("link");
    Object.assign(link, { rel: "preload", as: "font", type: "font/woff", crossOrigin: "anonymous" });
    link.href = new URL(path, document.currentScript.src);
    document.head.append(link);
  }

  async function draw() {
    const formulas = [...document.querySelectorAll(".math")];
    // first all down to the lower edge of the window: a formula that grows later must not move what is being read
    const below = formulas.findIndex((formula) => formula.getBoundingClientRect().top > window.innerHeight);
    await MathJax.typesetPromise(formulas.splice(0, below < 0 ? formulas.length : below));
    while (formulas.length > 0) {
      await new Promise((done) => setTimeout(done));
      await MathJax.typesetPromise(formulas.splice(0, AT_ONCE));
    }
  }

  window.MathJax.startup = { pageReady: draw };
})();
