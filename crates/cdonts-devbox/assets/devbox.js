// Shows what came or went without a click. The server says that something did; the page is asked
// for again, and its list and its addresses take the place of the old ones.
const source = new EventSource(document.currentScript.dataset.events);
let first = true;

source.onmessage = async () => {
  if (first) {
    first = false;
    return;
  }
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["addresses", "list"]) {
    const [old, now] = [document.getElementById(id), page.getElementById(id)];
    if (old && now) old.replaceWith(now);
  }
};
