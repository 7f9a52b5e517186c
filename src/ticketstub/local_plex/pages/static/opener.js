// Without a forwardUrl, the Auth App notifies the page that opened its window of the approval (observed). The message
// contains no token (our choice): the app gets it from its PIN. The browser delivers the message only while the opener
// is still at the origin that opened this window.
"use strict";
(() => {
  const origin = window.sessionStorage.getItem("opener");
  window.sessionStorage.removeItem("opener");
  if (window.opener && origin) window.opener.postMessage({ type: "AUTH_COMPLETE", response: {} }, origin);
})();
