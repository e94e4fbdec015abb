// Visitors who are no longer logged in, as after the app was started again: what they ask would be refused in silence.
import { h } from "./dom.js";

// Tells it below Run, once, with a link to the login page in a tab of its own, so that nothing on this page is lost.
export function tellLoggedOut(place = document.querySelector("#message")) {
  if (!place || place.querySelector(".logged-out")) return;
  const link = h("a", { href: location.pathname, target: "_blank", rel: "noopener" }, "log in");
  place.append(
    h(
      "p",
      { class: "message logged-out", role: "alert" },
      "You are no longer logged in: ",
      link,
      " in another tab, then ask again; this page stays as it is.",
    ),
  );
}

// Looks at every answer of the server to this page: 401 is told, until the server takes a request again.
export function watchLogin(scope, host = location.host, tell = tellLoggedOut) {
  const { fetch } = scope;
  scope.fetch = async (...request) => {
    const answer = await fetch.apply(scope, request);
    const address = new URL(answer.url || location.href);
    if (address.host !== host) return answer;
    if (answer.status === 401) tell();
    else if (answer.ok && address.pathname.endsWith("/queue/join")) document.querySelector(".logged-out")?.remove();
    return answer;
  };
}
