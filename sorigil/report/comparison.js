// The utterances of a comparison: which of them, by what they hold, in which order.
{
  const list = document.getElementById("changes");
  const tools = document.querySelector(".tools");
  if (list && tools) {
    const items = [...list.children];
    const find = document.getElementById("find"), order = document.getElementById("order");
    const kinds = [...document.querySelectorAll("button.kind")];
    const texts = new Map(items.map((item) => [item, item.textContent.toLocaleLowerCase()]));
    let kind = "";
    const show = () => {
      const wanted = find.value.trim().toLocaleLowerCase();
      let shown = 0;
      for (const item of items) {
        item.hidden = (kind !== "" && item.dataset.kind !== kind) || !texts.get(item).includes(wanted);
        shown += !item.hidden;
      }
      document.getElementById("shown").textContent = `${shown} of ${items.length}`;
    };
    const orders = {
      gain: (a, b) => b.dataset.gain - a.dataset.gain,
      loss: (a, b) => a.dataset.gain - b.dataset.gain,
      seconds: (a, b) => b.dataset.seconds - a.dataset.seconds,
      id: (a, b) => a.dataset.id.localeCompare(b.dataset.id, undefined, { numeric: true }),
    };
    for (const button of kinds) {
      button.addEventListener("click", () => {
        kind = button.dataset.kind;
        for (const each of kinds) each.setAttribute("aria-pressed", String(each === button));
        show();
      });
    }
    for (const chip of document.querySelectorAll("button.chip")) {
      chip.addEventListener("click", () => {
        find.value = chip.dataset.word;
        show();
        list.parentElement.scrollIntoView();
        find.focus({ preventScroll: true });
      });
    }
    find.addEventListener("input", show);
    order.addEventListener("change", () => list.append(...[...items].sort(orders[order.value])));
    tools.hidden = false;
    show();
  }
}
