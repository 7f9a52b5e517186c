// Without a forwardUrl the Auth App tells the page that opened its window that the app was approved (observed). The
// message holds no token: the app gets that from its PIN (ours). The browser delivers it only while the opener is still
// at the origin that opened this window.
"use strict";
(() => {
  const origin = window.sessionStorage.getItem("opener");
  window.sessionStorage.removeItem("opener");
  if (window.opener && origin) window.opener.postMessage({ type: "AUTH_COMPLETE", response: {} }, origin);
})();
