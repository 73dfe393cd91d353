"use strict";
// Looks for the words in every section of every page. The index is a script, so that it also loads from a folder (file://).
(() => {
  const most = 20;
  const box = document.querySelector("search");
  const query = document.getElementById("query");
  const found = document.getElementById("found");
  const tree = document.body.dataset.tree;
  let sections = null;

  function load() {
    if (sections !== null) return;
    sections = [];
    const script = document.createElement("script");
    script.src = document.body.dataset.index;
    script.onload = () => {
      sections = window.TUNEWAY_SECTIONS.map(([place, page, heading, text]) =>
        ({ place, page, heading, text, inTitle: (page + " " + heading).toLowerCase(), inText: text.toLowerCase() }));
      show();
    };
    document.head.append(script);
  }

  function worth(section, words) {
    let sum = 0;
    for (const word of words) {
      if (section.inTitle.includes(word)) sum += 10;
      else if (section.inText.includes(word)) sum += 1;
      else return 0;
    }
    return sum;
  }

  function around(section, word) {
    const at = Math.max(0, section.inText.indexOf(word) - 40);
    return (at ? "…" : "") + section.text.slice(at, at + 140) + (section.text.length > at + 140 ? "…" : "");
  }

  function show() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    found.replaceChildren();
    if (!words.length || !sections.length) return;
    const hits = sections.map((section) => [worth(section, words), section]).filter(([points]) => points);
    hits.sort((one, other) => other[0] - one[0]);
    for (const [, section] of hits.slice(0, most)) {
      const line = document.createElement("li");
      const link = document.createElement("a");
      link.href = tree + section.place;
      link.textContent = section.heading && section.heading !== section.page ? section.page + " › " + section.heading : section.page;
      const text = document.createElement("p");
      text.textContent = around(section, words[0]);
      line.append(link, text);
      found.append(line);
    }
    if (!hits.length) {
      const line = document.createElement("li");
      line.textContent = found.dataset.none;
      found.append(line);
    }
  }

  box.hidden = false;
  query.addEventListener("focus", load);
  query.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== query && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      query.focus();
    }
    if (event.key === "Escape") {
      query.value = "";
      show();
    }
  });
  // a narrow screen begins with the page, not with its menu
  if (window.matchMedia("(max-width: 60rem)").matches) document.querySelector("nav .menu").open = false;
})();
