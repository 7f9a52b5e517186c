// Keeps the verification codes of the start page current: it counts down, then asks for the page again and takes the new
// codes from it. Nothing else of the page changes, so that focus and selection stay.
"use strict";
(() => {
  const shown = () => document.querySelectorAll("[data-code]");
  const spans = [...document.querySelectorAll("[data-seconds]")];
  if (!spans.length) return;
  let until = Date.now() + 1000 * Number(spans[0].dataset.seconds);
  let asking = false;
  const refresh = async () => {
    const answer = await fetch("/", { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const code of shown()) {
      const found = page.querySelector(`[data-code="${code.dataset.code}"]`);
      if (found) code.textContent = found.textContent;
    }
    const seconds = page.querySelector("[data-seconds]");
    until = Date.now() + 1000 * Number(seconds ? seconds.dataset.seconds : 30);
  };
  const tell = (text) => { for (const span of spans) span.textContent = text; };
  setInterval(async () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return tell(`valid for ${left} s, once`);
    if (asking) return;
    asking = true;
    try { await refresh(); } catch { tell("the local Plex does not answer"); until = Date.now() + 5000; }
    asking = false;
  }, 500);
})();
