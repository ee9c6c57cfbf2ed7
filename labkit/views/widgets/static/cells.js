// Markup made by the kernel (escaped there), and which of its buttons was pressed.
function render({ model, el }) {
  const draw = () => {
    const held = el.contains(document.activeElement) ? document.activeElement.dataset.cell : undefined;
    el.innerHTML = model.get("html");
    if (held !== undefined) el.querySelector(`[data-cell="${held}"]`)?.focus();
  };
  el.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-cell]");
    if (!button) return;
    model.set("pressed", [Number(button.dataset.cell), Date.now()]);
    model.save_changes();
  });
  model.on("change:html", draw);
  draw();
}

export default { render };
