// What scrolls sideways must be reachable by keyboard: wide formulas, tables, code and outputs, as soon as they are drawn.
// It also must be seen to scroll: custom.css fades the right edge while there is more behind it.
(function () {
  "use strict";
  const WIDE = ".bd-article :is(div.math, mjx-container, pre, .cell_output, .pst-scrollable-table-container)";

  // First all questions, then all changes: a question after a change makes the browser lay out the whole page.
  function mark(boxes) {
    const hidden = boxes.map((box) => box.scrollWidth - box.clientWidth);
    boxes.forEach((box, i) => box.classList.toggle("bt-scrolls", hidden[i] > 2)); // formulas have fractions of a pixel
    const scrolls = boxes.map((box, i) => hidden[i] > 0 && /auto|scroll/.test(getComputedStyle(box).overflowX));
    const more = boxes.map((box, i) => scrolls[i] && hidden[i] - box.scrollLeft > 2);
    boxes.forEach((box, i) => {
      if (scrolls[i]) box.tabIndex = 0;
      else if (box.tabIndex === 0) box.removeAttribute("tabindex");
      box.classList.toggle("bt-more", more[i]);
    });
  }

  const observer = new ResizeObserver((entries) => mark(entries.map((entry) => entry.target)));
  function watch() {
    const boxes = [...document.querySelectorAll(WIDE)];
    mark(boxes); // also those that keep their size while what is in them changes
    boxes.forEach((box) => {
      observer.observe(box);
      box.onscroll = () => mark([box]);
    });
  }

  // fonts come one after the other, the last ones are those of the formulas: one look after a pause does for all
  let pause;
  const soon = () => {
    clearTimeout(pause);
    pause = setTimeout(watch, 100);
  };
  document.addEventListener("DOMContentLoaded", soon);
  document.fonts.addEventListener("loadingdone", soon);
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(soon));
})();
