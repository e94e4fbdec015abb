// Visitors who log out, and those who are no longer logged in, as after the app was started again: what they ask would be
// refused in silence.
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

// Shows the button that logs out where the server knows who is logged in.
export function showLogout(config, body = document.body) {
  body.classList.toggle("logged-in", Boolean(config?.username));
}

// Ends this session, not those of others with the same login.
export function logOut(place = location) {
  place.assign(`${place.pathname.replace(/\/?$/, "/")}logout?all_session=false`);
}

const isJoin = (address) => /\/queue\/join\/?(\?|$)/.test(address);
const joining = new Set(); // requests that the server has not taken yet

// Resolves once the server has taken every request that was made, for before that none of them can be cancelled.
export async function joined() {
  do await new Promise((resolve) => setTimeout(resolve));
  while ((await Promise.allSettled(joining)).length);
}

// Looks at every answer of the server to this page: 401 is told, until the server takes a request again.
export function watchServer(scope, host = location.host, tell = tellLoggedOut) {
  const { fetch } = scope;
  scope.fetch = async (...request) => {
    const coming = fetch.apply(scope, request);
    if (isJoin(String(request[0]?.url ?? request[0]))) {
      const taken = coming.then((answer) => answer.clone().text());
      joining.add(taken);
      taken.finally(() => joining.delete(taken)).catch(() => {});
    }
    const answer = await coming;
    const address = new URL(answer.url || location.href);
    if (address.host !== host) return answer;
    if (answer.status === 401) tell();
    else if (answer.ok && isJoin(address.pathname)) document.querySelector(".logged-out")?.remove();
    return answer;
  };
}
