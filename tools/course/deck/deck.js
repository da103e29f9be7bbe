// Keys: arrows, space, Page Up/Down, Home, End; n shows the notes. Scrolling and swiping need no code.
(function () {
  "use strict";
  const slides = [...document.querySelectorAll("section")];
  const flat = () => getComputedStyle(document.documentElement).scrollSnapType === "none";

  function current() {
    const middle = innerHeight / 2;
    const at = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > middle);
    return at < 0 ? slides.length - 1 : at;
  }

  function go(to) {
    const slide = slides[Math.max(0, Math.min(slides.length - 1, to))];
    slide.scrollIntoView();
    history.replaceState(null, "", "#" + slide.id);
  }

  // what is too tall for its slide gets smaller, down to two thirds; the rest scrolls inside the slide
  function fit() {
    for (const slide of slides) {
      const inside = slide.querySelector(".inside");
      const part = slide.classList.contains("figure") ? slide.querySelector(".output") : slide; // beside a figure text stays
      part.style.fontSize = "";
      for (let size = 95; !flat() && size >= 65 && inside.scrollHeight > inside.clientHeight + 2; size -= 5) {
        part.style.fontSize = size + "%";
      }
      if (inside.scrollHeight > inside.clientHeight + 2) inside.tabIndex = 0;
      else inside.removeAttribute("tabindex");
    }
  }

  const KEYS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, button, a, summary")) return;
    if (event.key === "n") {
      document.body.classList.toggle("with-notes");
      fit();
    } else if (event.key === "Home") go(0);
    else if (event.key === "End") go(slides.length - 1);
    else if (event.key in KEYS) go(current() + (event.shiftKey && event.key === " " ? -1 : KEYS[event.key]));
    else return;
    event.preventDefault();
  });
  addEventListener("resize", fit);
  // paper has no slider: it shows where a figure ends
  addEventListener("beforeprint", () => document.querySelectorAll(".bt-explorer input").forEach((slider) => {
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input"));
  }));
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(() => document.fonts.ready).then(() => {
    fit();
    document.documentElement.dataset.ready = "";
  }));
})();
