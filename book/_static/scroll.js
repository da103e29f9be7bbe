// What scrolls sideways must be reachable by keyboard: wide formulas, tables, code and outputs, as soon as they are drawn.
// It also must be seen to scroll: custom.css fades the right edge while there is more behind it.
(function () {
  "use strict";
  const WIDE = ".bd-article :is(div.math, mjx-container, pre, .cell_output, .pst-scrollable-table-container)";

  function mark(box) {
    const hidden = box.scrollWidth - box.clientWidth;
    box.classList.toggle("bt-scrolls", hidden > 2); // formulas have fractions of a pixel
    const scrolls = hidden > 0 && /auto|scroll/.test(getComputedStyle(box).overflowX);
    if (scrolls) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
    box.classList.toggle("bt-more", scrolls && hidden - box.scrollLeft > 2);
  }

  const observer = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  function watch() {
    document.querySelectorAll(WIDE).forEach((box) => {
      mark(box);
      observer.observe(box);
      box.onscroll = () => mark(box);
    });
  }

  document.addEventListener("DOMContentLoaded", watch);
  document.fonts.addEventListener("loadingdone", watch); // the last fonts to come are those of the formulas
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(watch));
})();
