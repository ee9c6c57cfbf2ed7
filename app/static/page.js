// The page's scripts: type into the formula, copy the link, save the episodes, leaf through the turn cards, click or
// type one's way along a walk, and what a link can ask for besides a tab: a stand, a projector. What they act on is found by data attributes, from the part that was clicked.
window.labkit = {
  // Keys of a formula: each types its text into the field of the same column.
  keypad(element) {
    element.addEventListener("click", (event) => {
      const piece = event.target.closest("[data-insert]")?.dataset.insert;
      const field = element.closest(".app-you").querySelector("input, textarea");
      if (piece === undefined) return;
      const { value, selectionStart: from, selectionEnd: to } = field;
      const erase = piece === "⌫";
      const before = value.slice(0, erase && from === to ? Math.max(0, from - 1) : from);
      field.value = before + (erase ? "" : piece) + value.slice(to);
      const caret = field.value.length - (value.length - to);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.setSelectionRange(caret, caret);
    });
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

  save(lines, name = "episodes.jsonl") {
    if (!lines) return;
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([lines], { type: "application/jsonl" }));
    anchor.download = name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  },

  // Parts that a reader opened stay open when the next card comes in; arrow keys go from card to card. A part that waits
  // for the tokens of an answer asks for them when it is opened; "What if …" forks the episode there. `of` names the
  // episode where a page shows several.
  turns(element, watch, trigger, ask, fork) {
    const of = (part) => part.closest("[data-of]")?.dataset.of ?? "";
    const parts = () => [...element.querySelectorAll(".lk-turn details, .lk-repeated")];
    const place = (part) => {
      if (part.matches(".lk-repeated")) return part.dataset.first;
      const card = part.closest(".lk-turn");
      return `${card.getAttribute("aria-label")}/${[...card.querySelectorAll("details")].indexOf(part)}`;
    };
    const open = new Set();
    element.addEventListener("toggle", (event) => {
      const part = event.target;
      if (!part.isConnected || !part.matches(".lk-turn details, .lk-repeated")) return;
      open[part.open ? "add" : "delete"](place(part));
      if (part.open && part.dataset.ask) trigger(ask, { ask: part.dataset.ask, of: of(part) });
    }, true);
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-fork]");
      if (button) trigger(fork, { fork: button.dataset.fork, of: of(button) });
    });
    watch("value", () => {
      for (const part of parts()) part.open = open.has(place(part));
    });
    element.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !event.target.matches(".lk-turn")) return;
      const cards = [...element.querySelectorAll(".lk-turn")].filter((card) => card.checkVisibility());
      cards[cards.indexOf(event.target) + step]?.focus();
      event.preventDefault();
    });
  },

  // Clicks on a step or an action. A button that has the focus keeps it when its line is drawn anew.
  walk(element, trigger, watch, name) {
    let focused = null;
    element.addEventListener("click", (event) => {
      const { step, action } = event.target.closest("[data-step], [data-action]")?.dataset ?? {};
      if (action) trigger(name, { action });
      else if (step !== undefined) trigger(name, { step: Number(step) });
      focused = action ? `[data-action="${action}"]` : step !== undefined ? '[aria-pressed="true"]' : null;
    });
    element.addEventListener("focusout", (event) => {
      if (event.target.isConnected && event.relatedTarget) focused = null;
    });
    watch("value", () => {
      if (focused) element.querySelector(focused)?.focus({ preventScroll: true });
    });
  },

  // Clicks on what has something to pick. A button that has the focus keeps it when its part is drawn anew; a part that
  // folds stays as it was left, at first closed on a narrow screen; an episode that was just opened is scrolled to.
  picks(element, trigger, watch, name) {
    let focused = null;
    let opened = "";
    let unfolded = !matchMedia("(max-width: 820px)").matches;
    element.addEventListener("click", (event) => {
      const fold = event.target.closest("[data-fold] > summary")?.parentElement;
      if (fold) unfolded = !fold.open;
      const { pick } = event.target.closest("[data-pick]")?.dataset ?? {};
      if (pick === undefined) return;
      trigger(name, { pick });
      focused = pick;
    });
    element.addEventListener("focusout", (event) => {
      if (event.target.isConnected && event.relatedTarget) focused = null;
    });
    const settle = () => {
      const fold = element.querySelector("[data-fold]");
      if (fold) fold.open = unfolded;
      const same = [...element.querySelectorAll("[data-pick]")].find((part) => part.dataset.pick === focused);
      (same?.querySelector("button") ?? same)?.focus({ preventScroll: true });
      const episode = element.querySelector("[data-opened]");
      const now = episode?.dataset.opened ?? "";
      if (now && now !== opened) episode.scrollIntoView({ block: "start" });
      opened = now;
    };
    watch("value", settle);
    // The value may have come before this script did.
    settle();
  },

  // A photograph goes to the server as text of the page's own event: no upload, no file. Larger ones stay here.
  photo(element, trigger, name, most) {
    element.addEventListener("change", (event) => {
      const file = event.target.files?.[0];
      if (!file) return;
      if (file.size > most) return trigger(name, { photo: "", megabytes: file.size / 2 ** 20 });
      const reader = new FileReader();
      reader.onload = () => trigger(name, { photo: reader.result });
      reader.readAsDataURL(file);
    });
  },

  // Keys act on the walk that is on the screen: those of the action buttons, and j and k from step to step.
  keys(event) {
    const held = event.repeat || event.ctrlKey || event.metaKey || event.altKey;
    const typing = "input, textarea, select, [contenteditable], [role=tab], [role=listbox], .lk-turn";
    if (held || event.target.closest(typing)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const seen = (selector, root = document) =>
      [...root.querySelectorAll(selector)].find((part) => part.offsetParent !== null && !part.disabled);
    let button = /^\w+$/.test(key) ? seen(`[data-pad] [data-keys~="${key}"]`) : null;
    const step = { j: 1, k: -1 }[key];
    if (step) {
      const pressed = seen("[data-steps] [aria-pressed=true]", event.target.closest(".app-seat") ?? document);
      const buttons = [...(pressed?.closest("ol").querySelectorAll("button") ?? [])];
      button = buttons[buttons.indexOf(pressed) + step];
    }
    if (!button) return;
    button.click();
    event.preventDefault();
  },

  // For a stand: the story goes on by itself, and round. Who touches the page has it; left alone, it starts again.
  kiosk(seconds) {
    const home = location.href;
    let timer;
    const wait = (call, pause) => {
      clearTimeout(timer);
      timer = setTimeout(call, 1000 * pause);
    };
    const forward = () => {
      document.querySelector(".app-story button.app-play")?.click();
      wait(forward, seconds);
    };
    for (const touch of ["pointerdown", "keydown", "wheel"]) {
      document.addEventListener(touch, () => wait(() => location.replace(home), 90));
    }
    wait(forward, seconds);
  },

  // The skip link leads to the first Play button of the open tab.
  skip(event) {
    if (!event.target.closest("[data-skip]")) return;
    event.preventDefault();
    const seen = [...document.querySelectorAll("button.app-play, .app-play button")];
    seen.find((button) => button.offsetParent !== null && !button.disabled)?.focus();
  },
};
document.addEventListener("keydown", window.labkit.keys);
document.addEventListener("click", window.labkit.skip);
const asked = new URLSearchParams(location.search);
if (asked.has("projector")) document.documentElement.classList.add("app-projector");
if (asked.has("kiosk")) window.labkit.kiosk(Math.max(1, Number(asked.get("kiosk")) || 15));
