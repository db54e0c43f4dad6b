/* Names and roles for screen readers where the theme has none, or others than it shows. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";

  for (const summary of document.querySelectorAll(".bd-sidebar-primary summary")) {
    const page = summary.parentElement.previousElementSibling;
    summary.setAttribute("aria-label", `Pages of ${page.textContent.trim()}`);
  }
  // Their labels lack what they show: "Ctrl + K", or the mode of colours.
  for (const button of document.querySelectorAll(".search-button-field, .theme-switch-button")) {
    button.title = button.getAttribute("aria-label");
    button.removeAttribute("aria-label");
  }
  for (const source of document.querySelectorAll(".citation-list > .citation")) {
    source.setAttribute("role", "listitem");
  }
});
