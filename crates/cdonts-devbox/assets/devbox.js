// Shows what came or went without a click: while somebody looks, the server is asked every second
// whether something did. Then the page is asked for again, and its list and its addresses take the
// place of the old ones.
const { ask, state } = document.currentScript.dataset;
let before = state;

async function look() {
  if (document.hidden) return;
  const answer = await fetch(ask);
  if (!answer.ok) return;
  const now = await answer.text();
  if (now !== before) await refresh();
  before = now;
}

async function refresh() {
  let answer = await fetch(location.href);
  // The open message may be gone: the list is there still.
  if (answer.status === 404) answer = await fetch(document.querySelector("a.home").href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["addresses", "list"]) {
    const [old, now] = [document.getElementById(id), page.getElementById(id)];
    if (old && now) old.replaceWith(now);
  }
}

async function go() {
  // The application may be away for a moment: it is being developed.
  await look().catch(() => {});
  setTimeout(go, 1000);
}

go();
