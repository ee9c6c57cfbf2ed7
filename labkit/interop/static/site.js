// Hides the rows that do not fit the chosen filters. The choice stays in the address, so that "back" finds it.
const form = document.querySelector("form");
const rows = [...document.querySelectorAll("tbody tr")];
const told = document.querySelector("output");

function show() {
  const chosen = [...new FormData(form)].filter(([, value]) => value);
  let count = 0;
  for (const row of rows) {
    const fits = chosen.every(([name, value]) =>
      name === "text"
        ? row.textContent.toLowerCase().includes(value.toLowerCase())
        : row.dataset[name].split(" ").includes(value));
    row.hidden = !fits;
    count += fits;
  }
  told.textContent = `${count} of ${rows.length} episodes`;
}

for (const [name, value] of new URLSearchParams(location.hash.slice(1)))
  if (form.elements[name]) form.elements[name].value = value;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => {
  const chosen = [...new FormData(form)].filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
  show();
});
show();
