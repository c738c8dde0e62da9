"use strict";
// Keeps the live page fresh: fetches what the server has made of it every two seconds, and puts in place what has changed.
{
  const EVERY = 2000;
  const PATIENCE = 8000;
  const live = document.getElementById("live");
  const stale = document.getElementById("live-stale");
  const said = document.getElementById("live-said");
  const button = document.getElementById("live-pause");
  let paused = false;

  const summary = (root) => root.querySelector("[data-said]").textContent;

  function put(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    if (!fresh.querySelector("[data-said]")) throw new Error("not the live page");
    const before = summary(live);
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const here = document.getElementById(part.id);
      if (!here || here.outerHTML === part.outerHTML) continue;
      const boxes = [...here.querySelectorAll(".table")].map((box) => box.scrollLeft);
      const within = here.contains(document.activeElement);
      if (within && document.activeElement.matches("a")) continue; // somebody is about to follow it
      here.replaceWith(document.adoptNode(part));
      document.getElementById(part.id).querySelectorAll(".table").forEach((box, at) => {
        box.scrollLeft = boxes[at] || 0;
        if (within && at === 0) box.focus({ preventScroll: true });
      });
    }
    if (summary(live) !== before) said.textContent = summary(live);
  }

  async function refresh() {
    try {
      const answer = await fetch(live.dataset.from, {
        headers: { accept: "text/html" }, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.type === "opaqueredirect") return location.reload(); // signed out meanwhile
      if (!answer.ok) throw new Error(answer.status);
      put(await answer.text());
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }

  async function round() {
    if (!paused && !document.hidden) await refresh();
    setTimeout(round, EVERY);
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? button.dataset.goOn : button.dataset.pause;
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) refresh(); });
  setTimeout(round, EVERY);
}
