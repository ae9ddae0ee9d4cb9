// Light, dark, or as the system is: the media rules of the page and of its drawings are told so.
(function () {
  "use strict";
  var rules = [];
  Array.prototype.forEach.call(document.styleSheets, function (sheet) {
    Array.prototype.forEach.call(sheet.cssRules, function (rule) {
      if (rule.media) {
        if (rule.media.mediaText.indexOf("prefers-color-scheme: dark") !== -1) {
          rules.push(rule);
        }
      }
    });
  });
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  var dark = system.matches;
  var button = document.createElement("button");
  button.type = "button";
  button.className = "scheme";
  function show() {
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
  }
  button.addEventListener("click", function () {
    dark = !dark;
    rules.forEach(function (rule) {
      rule.media.mediaText = dark ? "screen" : "not all";
    });
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    show();
  });
  show();
  document.querySelector("nav").appendChild(button);
})();
