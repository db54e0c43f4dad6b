/* Shows the subsections of a section with a `hpstudy-tabs` mark as tabs; without this script, and on
   paper, they stand below each other. Hidden ones keep their width, so that figures are drawn. */
(() => {
  "use strict";

  function build(mark) {
    const sections = [...mark.closest("section").querySelectorAll(":scope > section")];
    mark.setAttribute("role", "tablist");
    mark.setAttribute("aria-label", mark.dataset.label || "Sections");
    const tabs = sections.map((section) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `${section.id}-tab`;
      tab.textContent = section.querySelector("h2, h3, h4, h5, h6").firstChild.textContent;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", section.id);
      section.classList.add("hpstudy-tab");
      section.setAttribute("role", "tabpanel");
      section.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => select(tab));
      mark.append(tab);
      return tab;
    });

    function select(chosen) {
      tabs.forEach((tab, k) => {
        tab.setAttribute("aria-selected", tab === chosen);
        tab.tabIndex = tab === chosen ? 0 : -1;
        sections[k].classList.toggle("closed", tab !== chosen);
      });
    }

    mark.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        const next = tabs.indexOf(document.activeElement) + step + tabs.length;
        tabs[next % tabs.length].focus();
        select(tabs[next % tabs.length]);
      }
    });
    const named = () => tabs[sections.findIndex(({ id }) => `#${id}` === location.hash)];
    window.addEventListener("hashchange", () => named() && select(named()));
    select(named() || tabs[0]);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".hpstudy-tabs").forEach(build);
  });
})();
