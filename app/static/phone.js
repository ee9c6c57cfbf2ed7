// A phone of the class: it asks how the vote stands, shows the question that is open, and sends its choice.
const main = document.querySelector("main");
const line = document.querySelector("[role=status]");
const PAUSE = 1500;
let version = "";
let sent = 0;

document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);

function mark(mine) {
  for (const button of main.querySelectorAll("[data-choice]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.choice) === mine));
  }
}

async function look() {
  const before = sent;
  try {
    const answer = await fetch(`class/look?seen=${version}`);
    if (!answer.ok) throw new Error(answer.status);
    const found = await answer.json();
    if (found.html !== undefined) {
      main.innerHTML = found.html;
      version = found.version;
      line.textContent = "";
      scrollTo(0, 0);
    }
    // A vote that was sent meanwhile is newer than this answer.
    if (before === sent) mark(found.mine);
    if (line.dataset.lost) line.textContent = "";
    delete line.dataset.lost;
  } catch {
    line.textContent = "No connection to the teacher’s machine; trying again.";
    line.dataset.lost = "yes";
  }
}

main.addEventListener("click", async (event) => {
  const choice = event.target.closest("[data-choice]")?.dataset.choice;
  if (choice === undefined) return;
  sent += 1;
  try {
    const answer = await fetch("class/vote", {
      method: "POST",
      body: JSON.stringify({ version, choice: Number(choice) }),
    });
    const found = await answer.json();
    if (answer.ok) mark(found.mine);
    line.textContent = answer.ok ? "Your vote is in. You can change it until the answer is shown." : found.refused;
  } catch {
    line.textContent = "Your vote did not arrive; choose again.";
  }
});

(async () => {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((done) => setTimeout(done, PAUSE));
  }
})();
