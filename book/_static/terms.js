// A term's definition beside its link: on hover and on focus. It stays while the pointer is on it, and Escape closes it.
(function () {
  "use strict";
  const LINK = '.bd-article a.reference[href*="#term-"]';
  const GAP = 8;
  let tip, link, timer;

  function hide() {
    clearTimeout(timer);
    link?.removeAttribute("aria-describedby");
    tip?.remove();
    tip = link = undefined;
  }

  function place() {
    const at = link.getClientRects()[0]; // a link may run over two lines
    tip.style.maxWidth = `${Math.min(380, document.documentElement.clientWidth - 2 * GAP)}px`;
    const left = Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - GAP);
    const below = at.bottom + tip.offsetHeight + GAP < window.innerHeight || at.top < tip.offsetHeight;
    tip.style.left = `${Math.max(GAP, left) + window.scrollX}px`;
    tip.style.top = `${(below ? at.bottom : at.top - tip.offsetHeight) + window.scrollY}px`;
  }

  function show(target) {
    const name = decodeURIComponent(target.hash.slice(1));
    const source = document.querySelector(`template.bt-term[data-term="${CSS.escape(name)}"]`);
    if (!source || target === link) return;
    hide();
    link = target;
    tip = document.createElement("div");
    tip.id = "bt-term-tip";
    tip.className = "bt-term-tip";
    tip.setAttribute("role", "tooltip");
    tip.append(source.content.cloneNode(true));
    document.body.append(tip);
    link.setAttribute("aria-describedby", tip.id);
    place();
    window.MathJax?.typesetPromise?.([tip]).then(() => tip && place());
  }

  function later(action, milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  }

  document.addEventListener("pointerover", (event) => {
    const over = event.target.closest?.(LINK);
    if (over && event.pointerType !== "touch") later(() => show(over), 250);
    else if (tip?.contains(event.target)) clearTimeout(timer);
    else later(() => document.activeElement === link || hide(), 250);
  });
  document.addEventListener("focusin", (event) => {
    const over = event.target.closest?.(LINK);
    if (over?.matches(":focus-visible")) show(over);
    else if (!tip?.contains(event.target)) hide();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
