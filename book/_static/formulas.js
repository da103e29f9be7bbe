// MathJax draws the formulas of a page in one go, a quarter of a second in which the page does not answer its reader.
// Here it draws some, lets the page breathe, and goes on; MathJax.startup.promise is kept when all are drawn.
(function () {
  "use strict";
  const AT_ONCE = 10; // about the work of one picture of an animation
  if (!window.MathJax) return; // a page without formulas

  async function draw() {
    const formulas = [...document.querySelectorAll(".math")];
    while (formulas.length > 0) {
      await MathJax.typesetPromise(formulas.splice(0, AT_ONCE));
      await new Promise((done) => setTimeout(done));
    }
  }

  window.MathJax.startup = { pageReady: draw };
})();
