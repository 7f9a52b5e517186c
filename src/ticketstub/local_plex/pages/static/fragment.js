// An Auth App URL has its parameters in the fragment, which no server receives. This script opens the same page with the
// parameters in the query. It copies only known names and does nothing else with them.
"use strict";
(() => {
  const known = /^(?:clientID|code|forwardUrl|context\[device\]\[[A-Za-z]{1,30}\])$/;
  const fragment = /^#!?\/?\?(.*)$/s.exec(window.location.hash);
  if (!fragment) return;
  // opener.js notifies the page that opened this window, and no other: it needs that page's origin.
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
