// An Auth App URL has its parameters in the fragment, which no server sees: this opens the same page with them in the
// query. Only names that the page knows are taken over, and nothing else is done with them.
"use strict";
(() => {
  const known = /^(?:clientID|code|forwardUrl|context\[device\]\[[A-Za-z]{1,30}\])$/;
  const fragment = /^#!?\/?\?(.*)$/s.exec(window.location.hash);
  if (!fragment) return;
  // The page that opened this window is told when it is done (opener.js), and nobody else: its origin is kept for that.
  if (window.opener && document.referrer) {
    window.sessionStorage.setItem("opener", new URL(document.referrer).origin);
  }
  const query = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(fragment[1])) {
    if (name === "resetPassword") query.set(name, "");
    if (known.test(name)) query.set(name, value);
  }
  if (query.size) window.location.replace(`/auth?${query}`);
})();
