// Search as you type: while a name is typed, the lists below the field follow. Without scripts the button does it.
"use strict";

const field = document.querySelector("[data-search]");
const found = document.getElementById("found");
const told = document.getElementById("told");
let waiting;
let asked = 0;

async function search() {
  const mine = ++asked;
  told.textContent = "Searching…";
  const answer = await fetch(`${field.dataset.search}&q=${encodeURIComponent(field.value)}`).catch(() => null);
  if (mine !== asked) return; // a later one is on its way
  if (answer === null || !answer.ok) {
    told.textContent = "The search did not succeed. Try the Search button.";
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== asked) return;
  found.replaceChildren(...page.body.childNodes);
  if (found.querySelector(".fault")) {
    told.textContent = "";
    return;
  }
  const count = found.querySelectorAll("input").length;
  told.textContent = count === 1 ? "1 list" : `${count} lists`;
}

if (field && found) {
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 300); // HubSpot takes five searches a second from an account
  });
}
