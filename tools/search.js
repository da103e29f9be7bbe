// How the site's search sorts its hits and what stands below each; Sphinx puts this after its own script (html_search_scorer).
{
  const plain = (title) => title.replace(/<[^>]*>/g, "").replace(/^[\d.]+\s+/, "").trim().toLowerCase();
  const asked = plain(new URLSearchParams(window.location.search).get("q") ?? "");

  // Sphinx gives 100 points for a term of the glossary, about 25 for a function, 15 for a word of a title, 5 for one of the text.
  Scorer.score = (hit) => {
    const [page, title, , description, points] = hit;
    const [whole, part] = title.split(" > ");
    if (part && plain(part) === plain(whole)) hit[1] = whole; // a page's heading is the page: of two equal hits Sphinx drops one
    const named = asked && !description && plain(hit[1]).startsWith(asked);
    return points + (named ? 200 : 0) + (/^book\/\d/.test(page) ? 5 : 0); // chapters before lists and the package
  };

  const UNSEEN = "h1, .headerlink, script, style, template, svg, .bt-controls, details.hide > summary";
  // The page's text without title, header and buttons, and with formulas left out: nothing would draw them.
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const article = page.querySelector("article.bd-article") ?? page.body;
    article.querySelectorAll(UNSEEN).forEach((each) => each.remove());
    article.querySelectorAll(".math").forEach((formula) => formula.replaceWith("…"));
    const place = anchor && page.getElementById(decodeURIComponent(anchor.slice(1)));
    const meaning = place?.tagName === "DT" ? place.nextElementSibling?.textContent : ""; // of a term
    const text = `${place?.textContent ?? ""} ${meaning ?? ""}`.trim() || article.textContent;
    return text.replace(/\s+/g, " ");
  };
}
