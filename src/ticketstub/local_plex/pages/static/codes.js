// Keeps the verification codes on the start page current: counts down, then fetches the page and copies the new codes.
// The rest of the page does not change, so focus and selection stay.
"use strict";
(() => {
  const listCodes = () => document.querySelectorAll("[data-code]");
  const spans = [...document.querySelectorAll("[data-seconds]")];
  if (!spans.length) return;
  let until = Date.now() + 1000 * Number(spans[0].dataset.seconds);
  let isFetching = false;
  const refresh = async () => {
    const response = await fetch("/", { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const code of listCodes()) {
      const found = page.querySelector(`[data-code="${code.dataset.code}"]`);
      if (found) code.textContent = found.textContent;
    }
    const seconds = page.querySelector("[data-seconds]");
    until = Date.now() + 1000 * Number(seconds ? seconds.dataset.seconds : 30);
  };
  const showStatus = (text) => { for (const span of spans) span.textContent = text; };
  setInterval(async () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return showStatus(`valid for ${left} s, once`);
    if (isFetching) return;
    isFetching = true;
    try { await refresh(); } catch { showStatus("the local Plex does not respond"); until = Date.now() + 5000; }
    isFetching = false;
  }, 500);
})();
