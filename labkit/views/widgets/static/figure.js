// A figure made by the kernel. The whole figure comes at every change, so that a page which was opened late or again
// shows what a page that was there from the start shows.

// plotly.js is large: it is read once in a page, and not while anywidget waits for a widget to begin, which it does for
// two seconds only.
function plotly(text) {
  window.labkitPlotly ??= import(URL.createObjectURL(new Blob([text], { type: "text/javascript" }))).then(
    () => window.Plotly,
  );
  return window.labkitPlotly;
}

async function render({ model, el }) {
  const plot = document.createElement("div");
  plot.textContent = "Loading the figure…";
  el.append(plot);
  const Plotly = await plotly(model.get("library"));
  plot.textContent = "";
  const draw = () => {
    const { data, layout } = model.get("figure");
    return Plotly.react(plot, data, layout, { responsive: true, displaylogo: false, showSendToCloud: false });
  };
  model.on("change:figure", draw);
  await draw();
  plot.on("plotly_click", ({ points: [point] }) => {
    model.set("clicked", [point.curveNumber, point.pointNumber, Date.now()]);
    model.save_changes();
  });
  return () => Plotly.purge(plot);
}

export default { render };
