// The page's scripts: type into the formula, copy the link, save the episode, leaf through the turn cards, and
// click or type one's way along a walk.
window.labkit = {
  insert(piece) {
    const field = document.querySelector("#formula input, #formula textarea");
    const { value, selectionStart: from, selectionEnd: to } = field;
    const erase = piece === "⌫";
    const before = value.slice(0, erase && from === to ? Math.max(0, from - 1) : from);
    const text = before + (erase ? "" : piece) + value.slice(to);
    const caret = text.length - (value.length - to);
    // At once, so that a second click finds the text and the caret of the first.
    field.value = text;
    field.focus();
    field.setSelectionRange(caret, caret);
    return text;
  },

  async copyLink(query) {
    if (!query) return "";
    history.replaceState(null, "", location.pathname + query);
    try {
      await navigator.clipboard.writeText(location.href);
      return "<p class=\"lk\">Link copied.</p>";
    } catch {
      return "<p class=\"lk\">The address bar holds the link.</p>";
    }
  },

  save(lines) {
    if (!lines) return;
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([lines], { type: "application/jsonl" }));
    anchor.download = "episode.jsonl";
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  },

  // Parts that a reader opened stay open when the next card comes in; arrow keys go from card to card.
  turns(element, watch) {
    const parts = () => [...element.querySelectorAll(".lk-turn details")];
    const place = (part) => {
      const card = part.closest(".lk-turn");
      return `${card.getAttribute("aria-label")}/${[...card.querySelectorAll("details")].indexOf(part)}`;
    };
    const open = new Set();
    element.addEventListener("toggle", (event) => {
      if (event.target.isConnected) open[event.target.open ? "add" : "delete"](place(event.target));
    }, true);
    watch("value", () => {
      for (const part of parts()) part.open = open.has(place(part));
    });
    element.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !event.target.matches(".lk-turn")) return;
      const cards = [...element.querySelectorAll(".lk-turn")];
      cards[cards.indexOf(event.target) + step]?.focus();
      event.preventDefault();
    });
  },

  // Clicks on a step or an action; a step that has the focus keeps it when its line is drawn anew.
  walk(element, trigger, watch, name) {
    let focused = null;
    element.addEventListener("click", (event) => {
      const { step, action } = event.target.closest("[data-step], [data-action]")?.dataset ?? {};
      const whose = event.target.closest("[data-whose]")?.dataset.whose ?? null;
      if (action) trigger(name, { action });
      else if (step !== undefined) trigger(name, { step: Number(step), whose });
      focused = step !== undefined && whose;
    });
    watch("value", () => {
      if (focused) element.querySelector(`[data-whose="${focused}"] [aria-pressed="true"]`)?.focus();
    });
  },

  // Keys act on the walk that is on the screen: those of the pad's buttons, and j and k from step to step.
  keys(event) {
    const held = event.repeat || event.ctrlKey || event.metaKey || event.altKey;
    const typing = "input, textarea, select, [contenteditable], [role=tab], [role=listbox], .lk-turn";
    if (held || event.target.closest(typing)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const seen = (selector) =>
      [...document.querySelectorAll(selector)].find((part) => part.offsetParent !== null && !part.disabled);
    let button = /^\w+$/.test(key) ? seen(`#walk-pad [data-keys~="${key}"]`) : null;
    const step = { j: 1, k: -1 }[key];
    if (step) {
      const pressed = seen("#walk-status [aria-pressed=true]");
      const buttons = [...(pressed?.closest("ol").querySelectorAll("button") ?? [])];
      button = buttons[buttons.indexOf(pressed) + step];
    }
    if (!button) return;
    button.click();
    event.preventDefault();
  },
};
document.addEventListener("keydown", window.labkit.keys);
